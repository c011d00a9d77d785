#include "lib/ops/flat.h"

#include "lib/ops/checks.h"

namespace trainer::ops {

void expect_control(std::string_view op, const Tensor& control, Device device) {
  expect(op, "control", control, {Control::size}, DType::f64, device);
}

void expect_arena(std::string_view op, std::string_view what, const Tensor& arena,
                  std::span<const Segment> segments) {
  expect_floating(op, what, arena);
  check(arena.rank() == 1, "{}: {} is {}, expected an arena of rank 1", op, what, arena.shape());
  int64_t last = 0;
  for (const Segment& s : segments) {
    check(last <= s.begin && s.begin <= s.end && s.end <= arena.numel(),
          "{}: segment [{}, {}) overlaps the one before it or leaves the arena of {}", op, s.begin, s.end,
          arena.numel());
    last = s.end;
  }
}

namespace {

void expect_step(std::string_view op, const Tensor& control, std::span<const Segment> segments,
                 const Tensor& gradient, const Tensor& parameter) {
  expect_arena(op, "parameter", parameter, segments);
  expect_like(op, "gradient", gradient, parameter);
  expect_control(op, control, parameter.device());
}

}  // namespace

void sgd_step(const Tensor& control, std::span<const Segment> segments, const SgdArgs& args,
              const Tensor& gradient, Tensor& parameter, Tensor& momentum) {
  expect_step(SgdStep::name, control, segments, gradient, parameter);
  if (args.momentum != 0) expect_like(SgdStep::name, "momentum", momentum, parameter);
  Kernels<SgdStep>::on(parameter.device())(control, segments, args, gradient, parameter, momentum);
}

void adamw_step(const Tensor& control, std::span<const Segment> segments, const AdamWArgs& args,
                const Tensor& gradient, Tensor& parameter, Tensor& exp_avg, Tensor& exp_avg_sq) {
  expect_step(AdamWStep::name, control, segments, gradient, parameter);
  expect_like(AdamWStep::name, "exp_avg", exp_avg, parameter);
  expect_like(AdamWStep::name, "exp_avg_sq", exp_avg_sq, parameter);
  Kernels<AdamWStep>::on(parameter.device())(control, segments, args, gradient, parameter, exp_avg,
                                             exp_avg_sq);
}

Tensor sum_of_squares(const Tensor& x) {
  expect_floating(SumOfSquares::name, "input", x);
  Tensor sum = Tensor::empty({}, DType::f64, x.device());
  Kernels<SumOfSquares>::on(x.device())(x, sum);
  return sum;
}

void clip_multiplier(const Tensor& sum_of_squares, double max_norm, Tensor& control) {
  constexpr std::string_view op = ClipMultiplier::name;
  expect_floating(op, "sum of squares", sum_of_squares);
  expect(op, "sum of squares", sum_of_squares, {}, DType::f64, sum_of_squares.device());
  expect_control(op, control, sum_of_squares.device());
  check(max_norm > 0, "{}: max_norm {} must be positive", op, max_norm);
  Kernels<ClipMultiplier>::on(control.device())(sum_of_squares, max_norm, control);
}

}  // namespace trainer::ops
