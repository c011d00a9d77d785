#include "lib/ops/layerwise.h"

#include "lib/ops/checks.h"

namespace trainer::ops {
namespace {

/// One value per segment.
Shape values_of(std::span<const Segment> segments) { return {static_cast<int64_t>(segments.size())}; }

}  // namespace

Tensor trust_ratio(std::span<const Segment> segments, const TrustRatioArgs& args,
                   const Tensor& parameter_squares, const Tensor& direction_squares) {
  constexpr std::string_view op = TrustRatio::name;
  expect_floating(op, "squares of the parameter", parameter_squares);
  const Device device = parameter_squares.device();
  expect(op, "squares of the parameter", parameter_squares, values_of(segments), DType::f64, device);
  expect_like(op, "squares of the direction", direction_squares, parameter_squares);
  Tensor ratio = Tensor::empty(values_of(segments), DType::f64, device);
  Kernels<TrustRatio>::on(device)(segments, args, parameter_squares, direction_squares, ratio);
  return ratio;
}

void scaled_step(const Tensor& control, std::span<const Segment> segments, const Tensor& scale,
                 const Tensor& direction, Tensor& parameter, Tensor& copy) {
  constexpr std::string_view op = ScaledStep::name;
  expect_arena(op, "parameter", parameter, segments);
  expect_control(op, control, parameter.device());
  expect(op, "scale", scale, values_of(segments), DType::f64, parameter.device());
  expect_like(op, "direction", direction, parameter);
  expect_copy(op, copy, parameter);
  Kernels<ScaledStep>::on(parameter.device())(control, segments, scale, direction, parameter, copy);
}

}  // namespace trainer::ops
