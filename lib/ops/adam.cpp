#include "lib/ops/adam.h"

#include "lib/ops/checks.h"

namespace trainer::ops {
namespace {

void expect_state(std::string_view op, const Tensor& control, std::span<const Segment> segments,
                  const Tensor& parameter, const Tensor& gradient, const Tensor& exp_avg,
                  const Tensor& exp_avg_sq) {
  expect_arena(op, "parameter", parameter, segments);
  expect_control(op, control, parameter.device());
  expect_like(op, "gradient", gradient, parameter);
  expect_like(op, "exp_avg", exp_avg, parameter);
  expect_like(op, "exp_avg_sq", exp_avg_sq, parameter);
}

}  // namespace

void adamw_step(const Tensor& control, std::span<const Segment> segments, const AdamArgs& args,
                const Tensor& gradient, Tensor& parameter, Tensor& exp_avg, Tensor& exp_avg_sq,
                Tensor& copy) {
  expect_state(AdamWStep::name, control, segments, parameter, gradient, exp_avg, exp_avg_sq);
  expect_copy(AdamWStep::name, copy, parameter);
  Kernels<AdamWStep>::on(parameter.device())(control, segments, args, gradient, parameter, exp_avg,
                                             exp_avg_sq, copy);
}

void adam_direction(const Tensor& control, std::span<const Segment> segments, const AdamArgs& args,
                    const Tensor& parameter, Tensor& gradient, Tensor& exp_avg, Tensor& exp_avg_sq) {
  expect_state(AdamDirection::name, control, segments, parameter, gradient, exp_avg, exp_avg_sq);
  Kernels<AdamDirection>::on(parameter.device())(control, segments, args, parameter, gradient, exp_avg,
                                                 exp_avg_sq);
}

}  // namespace trainer::ops
