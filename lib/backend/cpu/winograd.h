// 3x3 convolutions of stride 1 by Winograd's algorithm, in f32: a quarter of the multiplications for more
// work on transforms, which also read and write bf16. The error is about 1e-6 of the results' root mean square, a few times that of a direct
// sum.
#pragma once

#include "lib/backend/cpu/own_loops.h"
#include "lib/ops/conv.h"

namespace trainer::cpu {

/// CONV.WINOGRAD.
void set_winograd(OwnLoops);

namespace winograd {

/// Whether a convolution, or a gradient of one, is to be computed here. `maps` [N, H, W, C] is what it writes;
/// w [O, KH, KW, I].
bool wanted(const Tensor& maps, const Tensor& w, const ops::Conv2dArgs&);
bool wanted_backward_weight(const Tensor& dy, const Tensor& dw, const ops::Conv2dArgs&);

/// What ops::Conv2d, Conv2dBackwardData and Conv2dBackwardWeight compute, for filters 3x3, stride 1, dilation
/// 1, one group, f32 or bf16, and no empty tensor. Results do not depend on the number of threads.
void forward(const Tensor& x, const Tensor& w, const Tensor& bias, const ops::Conv2dArgs&, Tensor& y);
void backward_data(const Tensor& dy, const Tensor& w, const ops::Conv2dArgs&, Tensor& dx);
void backward_weight(const Tensor& dy, const Tensor& x, const ops::Conv2dArgs&, Tensor& dw, Tensor& dbias);

}  // namespace winograd
}  // namespace trainer::cpu
