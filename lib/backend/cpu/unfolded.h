// A convolution, or the gradient of its weights, as one product of matrices: of the weights or the output's gradient, and
// the pixels under each position of the filter, which are copied out of the map ("im2col"; Chellapilla, Puri and Simard,
// 2006). oneDNN's direct sums lose up to half their speed where filters move by more than a pixel or there are too few
// channels to fill a vector, which can be more than the copies cost.
#pragma once

#include "lib/backend/cpu/own_loops.h"
#include "lib/ops/conv.h"

namespace trainer::cpu {

void set_unfolded(OwnLoops);

namespace unfolded {

/// Whether y [N, OH, OW, O] is to be computed here, with w [O, KH, KW, I], in f32 or bf16.
bool wanted_forward(const Tensor& y, const Tensor& w, const ops::Conv2dArgs&);
/// Whether dw [O, KH, KW, I] is to be computed here, of dy [N, OH, OW, O] in f32 or bf16.
bool wanted_backward_weight(const Tensor& dy, const Tensor& dw, const ops::Conv2dArgs&);

/// What ops::Conv2d and ops::Conv2dBackwardWeight compute of x [N, H, W, I], for one group and no empty tensor. At most
/// 16 MB, or one sample, are unfolded at a time.
void forward(const Tensor& x, const Tensor& w, const Tensor& bias, const ops::Conv2dArgs&, Tensor& y);
void backward_weight(const Tensor& dy, const Tensor& x, const ops::Conv2dArgs&, Tensor& dw, Tensor& dbias);

}  // namespace unfolded
}  // namespace trainer::cpu
