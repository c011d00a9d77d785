// The 16-bit copies of an optimizer's update (lib/ops/flat.h).
#pragma once

#include "lib/ops/flat.h"

namespace trainer::ref {

/// The segment's elements of `copy` become those of `parameter`, rounded; an undefined copy is left alone.
inline void round(const Tensor& parameter, const ops::Segment& s, Tensor& copy) {
  if (copy.defined()) copy.slice(s.begin, s.end).copy_from(parameter.slice(s.begin, s.end).to(copy.dtype()));
}

}  // namespace trainer::ref
