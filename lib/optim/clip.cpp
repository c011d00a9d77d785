#include "lib/optim/clip.h"

namespace trainer::optim {

Tensor clip_by_norm(Parameters& parameters, Tensor& control, double max_norm) {
  check(max_norm >= 0, "clip_by_norm: the norm {} is negative", max_norm);
  parameters.segments();  // clears what earlier steps left in gradients()
  const ops::Segment whole{0, parameters.gradients().numel()};
  Tensor sum = ops::segment_squares({&whole, 1}, parameters.gradients());
  if (max_norm > 0) ops::clip_multiplier(sum, max_norm, control);
  return sum;
}

}  // namespace trainer::optim
