// Ops over arenas for optimizers that need the norm of each parameter (LAMB, LARS) or of each row of it
// (adaptive gradient clipping). Norms are taken per segment (lib/ops/flat.h): the caller decides what a
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

/// The sum of squares of each segment of an arena: f64 [segments], 0 for an empty one. Summed in fixed chunks
/// of a segment, so the result depends neither on the number of threads nor on the other segments.
Tensor segment_squares(std::span<const Segment>, const Tensor& x);
/// The first half of adamw_step(): updates the moments with g = multiplier gradient, and overwrites
/// `gradient` with the direction of the step: m / (1 - beta1^t) / (sqrt(v / (1 - beta2^t)) + eps) +
/// weight_decay parameter.
void adam_direction(const Tensor& control, std::span<const Segment>, const AdamWArgs&,
                    const Tensor& parameter, Tensor& gradient, Tensor& exp_avg, Tensor& exp_avg_sq);
/// |parameter| / |direction| of each segment (You et al., LARS, 2017; LAMB, 2020), from the norms' squares; 1
/// where one of them is 0, or the segment has no weight decay and `always` is not set.
Tensor trust_ratio(std::span<const Segment>, const TrustRatioArgs&, const Tensor& parameter_squares,
                   const Tensor& direction_squares);
/// The second half: parameter -= lr lr_factor scale[i] direction in segment i.
void scaled_step(const Tensor& control, std::span<const Segment>, const Tensor& scale,
                 const Tensor& direction, Tensor& parameter);

// The kernels of a backend (lib/tensor/kernels.h).

struct SegmentSquares {
  static constexpr std::string_view name = "segment_squares";
  using Fn = void(std::span<const Segment>, const Tensor& x, Tensor& sums);
};
struct AdamDirection {
  static constexpr std::string_view name = "adam_direction";
  using Fn = void(const Tensor& control, std::span<const Segment>, const AdamWArgs&, const Tensor& parameter,
                  Tensor& gradient, Tensor& exp_avg, Tensor& exp_avg_sq);
};
struct TrustRatio {
  static constexpr std::string_view name = "trust_ratio";
  using Fn = void(std::span<const Segment>, const TrustRatioArgs&, const Tensor& parameter_squares,
                  const Tensor& direction_squares, Tensor& ratio);
};
struct ScaledStep {
  static constexpr std::string_view name = "scaled_step";
  using Fn = void(const Tensor& control, std::span<const Segment>, const Tensor& scale,
                  const Tensor& direction, Tensor& parameter);
};

}  // namespace trainer::ops
