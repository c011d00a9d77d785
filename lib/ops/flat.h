// Optimizer steps over arenas. An arena is a tensor of rank 1 that holds all parameters of a model, or all
// their gradients, or one moment of each (lib/optim/parameters.h); the arenas of one step have equal lengths
// and dtypes.
//
//   Tensor control = Tensor::of<double>(std::array{lr, 1.0, t}, {Control::size}, device);
//   ops::adamw_step(control, segments, {.beta2 = 0.95}, gradient, parameter, exp_avg, exp_avg_sq);
//
// The scalars that change from step to step are in the f64 tensor `control` on the arena's device: a kernel
// on the device can compute them (clip_multiplier), and nothing is read back to the host.
#pragma once

#include <span>

#include "lib/tensor/kernels.h"

namespace trainer::ops {

/// Positions in a control tensor.
struct Control {
  static constexpr int lr = 0;          ///< learning rate
  static constexpr int multiplier = 1;  ///< applied to every gradient first: unscaling, clipping
  static constexpr int step = 2;        ///< number of this update, from 1 (Adam's t)
  static constexpr int size = 3;
};

/// Elements [begin, end) of an arena that share a learning-rate factor and a weight decay: a group, or one
/// parameter.
struct Segment {
  int64_t begin = 0, end = 0;
  double lr_factor = 1, weight_decay = 0;
};

/// p -= lr (g' + momentum m if nesterov else m), m = momentum m + g', g' = multiplier g + weight_decay p
/// (torch.optim.SGD).
struct SgdArgs {
  double momentum = 0.9;
  bool nesterov = true;
};

/// Updates parameter and momentum by the formula of SgdArgs. The segments ascend and do not overlap; elements
/// outside of them are not changed. `momentum` may be undefined if args.momentum is 0. `copy`, if it is
/// defined, is an arena of 16 bits (mixed precision), which gets the new parameters rounded.
void sgd_step(const Tensor& control, std::span<const Segment>, const SgdArgs&, const Tensor& gradient,
              Tensor& parameter, Tensor& momentum, Tensor& copy);
/// The sum of squares of each segment of an arena: f64 [segments], 0 for an empty one, not finite if an
/// element is not. Summed in fixed chunks of a segment, so the result depends neither on the number of
/// threads nor on the other segments.
Tensor segment_squares(std::span<const Segment>, const Tensor& x);
/// multiplier *= min(1, max_norm / (multiplier sqrt(squares) + 1e-6)), squares f64 [1]
/// (torch.nn.utils.clip_grad_norm_). An infinite max_norm clips nothing. A norm that is not finite makes the
/// multiplier NaN, which marks the step as bad.
void clip_multiplier(const Tensor& squares, double max_norm, Tensor& control);

// The kernels of a backend (lib/tensor/kernels.h).

struct SgdStep {
  static constexpr std::string_view name = "sgd_step";
  using Fn = void(const Tensor& control, std::span<const Segment>, const SgdArgs&, const Tensor& gradient,
                  Tensor& parameter, Tensor& momentum, Tensor& copy);
};
struct SegmentSquares {
  static constexpr std::string_view name = "segment_squares";
  using Fn = void(std::span<const Segment>, const Tensor& x, Tensor& sums);
};
struct ClipMultiplier {
  static constexpr std::string_view name = "clip_multiplier";
  using Fn = void(const Tensor& squares, double max_norm, Tensor& control);
};

// Checks of ops over arenas. Each throws Error(Exit::internal) that names the op.

/// A control tensor on this device.
void expect_control(std::string_view op, const Tensor& control, Device);
/// A floating tensor of rank 1; the segments lie in it, ascend and do not overlap.
void expect_arena(std::string_view op, std::string_view what, const Tensor& arena, std::span<const Segment>);
/// Undefined, or a floating arena as long as the parameters'.
void expect_copy(std::string_view op, const Tensor& copy, const Tensor& parameter);

}  // namespace trainer::ops
