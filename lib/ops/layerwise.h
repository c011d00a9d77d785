// Ops over arenas for updates whose size follows norms of single tensors (LAMB, LARS) or of their units
// (adaptive gradient clipping). A norm is one of a segment, whatever the caller makes one: a parameter, or a
// row of it (segment_squares in lib/ops/flat.h). One value per segment is an f64 [segments] on the arena's
// device, so that nothing has to be read back between two kernels.
#pragma once

#include "lib/ops/flat.h"

namespace trainer::ops {

struct TrustRatioArgs {
  bool clip = false;    ///< at most 1: only ever shortens a step (LAMBC)
  bool always = false;  ///< also where the weight decay is 0
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

// Segments as for sgd_step(): they ascend and do not overlap.

/// |parameter| / |direction| by segment, from the norms' squares; 1 where one of them is 0, or the segment
/// has no weight decay and `always` is not set.
Tensor trust_ratio(std::span<const Segment>, const TrustRatioArgs&, const Tensor& parameter_squares,
                   const Tensor& direction_squares);
/// parameter -= lr lr_factor scale[i] direction in segment i, scale f64 [segments].
void scaled_step(const Tensor& control, std::span<const Segment>, const Tensor& scale,
                 const Tensor& direction, Tensor& parameter);

}  // namespace trainer::ops
