// Depthwise convolutions, a filter per channel, as sums over the vectors of channels that lie side by side in
// memory: there is nothing to multiply as matrices.
#pragma once

#include "lib/backend/cpu/own_loops.h"
#include "lib/ops/conv.h"

namespace trainer::cpu {

void set_depthwise(OwnLoops);

namespace depthwise {

/// Whether y = x * w is to be computed here; the same for its gradients. x [N, H, W, C], w [C, K, K, 1].
bool wanted_forward(const Tensor& x, const Tensor& w, const ops::Conv2dArgs&);
bool wanted_backward_data(const Tensor& dx, const Tensor& w, const ops::Conv2dArgs&);
bool wanted_backward_weight(const Tensor& x, const Tensor& dw, const ops::Conv2dArgs&);

/// What ops::Conv2d, Conv2dBackwardData and Conv2dBackwardWeight compute, where wanted_...() says so, for no
/// empty tensor. Sums are f32. Results do not depend on the number of threads.
void forward(const Tensor& x, const Tensor& w, const Tensor& bias, const ops::Conv2dArgs&, Tensor& y);
void backward_data(const Tensor& dy, const Tensor& w, const ops::Conv2dArgs&, Tensor& dx);
void backward_weight(const Tensor& dy, const Tensor& x, const ops::Conv2dArgs&, Tensor& dw, Tensor& dbias);

}  // namespace depthwise
}  // namespace trainer::cpu
