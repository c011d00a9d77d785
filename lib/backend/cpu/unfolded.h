// The gradient of a convolution's weights as one product of matrices, of the output's gradient and the pixels under each
// position of the filter, which are copied out of the map ("im2col"; Chellapilla, Puri and Simard, 2006). oneDNN's
// direct sums lose half their speed where filters move by more than a pixel, more than the copies cost.
#pragma once

#include "lib/backend/cpu/own_loops.h"
#include "lib/ops/conv.h"

namespace trainer::cpu {

void set_unfolded(OwnLoops);

namespace unfolded {

/// dy [N, OH, OW, O], dw [O, KH, KW, I].
bool wanted_backward_weight(const Tensor& dy, const Tensor& dw, const ops::Conv2dArgs&);

/// What ops::Conv2dBackwardWeight computes, for one group and no empty tensor.
void backward_weight(const Tensor& dy, const Tensor& x, const ops::Conv2dArgs&, Tensor& dw, Tensor& dbias);

}  // namespace unfolded
}  // namespace trainer::cpu
