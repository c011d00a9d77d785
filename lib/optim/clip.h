// Gradient clipping by the norm of all gradients (torch.nn.utils.clip_grad_norm_), without leaving the
// device.
#pragma once

#include "lib/optim/parameters.h"

namespace trainer::optim {

/// Scales control's multiplier down so that the update sees gradients of a 2-norm of at most `max_norm`; with
/// 0 it only measures. Gradients of parameters without one in this step do not count. Returns the sum of
/// squares (f64, rank 0, on the device) of gradients() as they are, before the multiplier: the norm is
/// multiplier * sqrt(sum). Not finite if any gradient is not.
Tensor clip_by_norm(Parameters&, Tensor& control, double max_norm);

}  // namespace trainer::optim
