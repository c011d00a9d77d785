// Arenas and segments for the cases of lib/ops/flat.h and lib/ops/layerwise.h.
#pragma once

#include <algorithm>
#include <vector>

#include "lib/ops/flat.h"
#include "tests/ops/cases.h"

namespace trainer::test {

/// Segments of all kinds in an arena of `size` elements: long, empty, with and without decay; the last few
/// elements are in none.
inline std::vector<ops::Segment> segments(int64_t size) {
  const int64_t a = size / 3, b = size - size / 4;
  return {{0, a, 1, 0.05}, {a, a, 7, 7}, {a, b, 0.1, 0}, {b, std::max(b, size - 2), 2, 0.5}};
}

/// control at step `step`, two arenas, and Adam's two moments.
inline Tensors adam_inputs(Inputs& in, int64_t size, double step) {
  const Tensor control = in.f64({0.001, 0.25, step});
  return {control, in.statistic({size}), in.statistic({size}), in.statistic({size}), in.variance({size})};
}

}  // namespace trainer::test
