// Ops over arenas for optimizers that need the norm of each parameter (LAMB, LARS) or of each row of it
// (adaptive gradient clipping). Norms are taken per segment (segment_squares in lib/ops/flat.h): the caller decides what a
// segment is. Values per segment are f64 [segments] on the arena's device, so nothing is read back between
// two kernels.
#pragma once

#include "lib/ops/flat.h"

namespace trainer::ops {

struct TrustRatioArgs {
  bool clip = false;    ///< at most 1, so it only shortens steps (LAMBC)
  bool always = false;  ///< also where the weight decay is 0
};

// Segments as for sgd_step(): they ascend and do not overlap.

/// |parameter| / |direction| of each segment (You et al., LARS, 2017; LAMB, 2020), from the norms' squares; 1
/// where one of them is 0, or the segment has no weight decay and `always` is not set.
Tensor trust_ratio(std::span<const Segment>, const TrustRatioArgs&, const Tensor& parameter_squares,
                   const Tensor& direction_squares);
/// parameter -= lr lr_factor scale[i] direction in segment i, scale f64 [segments]; `copy` as in sgd_step().
void scaled_step(const Tensor& control, std::span<const Segment>, const Tensor& scale,
                 const Tensor& direction, Tensor& parameter, Tensor& copy);

// The kernels of a backend (lib/tensor/kernels.h).

struct TrustRatio {
  static constexpr std::string_view name = "trust_ratio";
  using Fn = void(std::span<const Segment>, const TrustRatioArgs&, const Tensor& parameter_squares,
                  const Tensor& direction_squares, Tensor& ratio);
};
struct ScaledStep {
  static constexpr std::string_view name = "scaled_step";
  using Fn = void(const Tensor& control, std::span<const Segment>, const Tensor& scale,
                  const Tensor& direction, Tensor& parameter, Tensor& copy);
};

}  // namespace trainer::ops
