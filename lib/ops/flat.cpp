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

void expect_copy(std::string_view op, const Tensor& copy, const Tensor& parameter) {
  if (!copy.defined()) return;
  expect_floating(op, "copy", copy);
  expect(op, "copy", copy, parameter.shape(), copy.dtype(), parameter.device());
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
              const Tensor& gradient, Tensor& parameter, Tensor& momentum, Tensor& copy) {
  expect_step(SgdStep::name, control, segments, gradient, parameter);
  expect_copy(SgdStep::name, copy, parameter);
  if (args.momentum != 0) expect_like(SgdStep::name, "momentum", momentum, parameter);
  Kernels<SgdStep>::on(parameter.device())(control, segments, args, gradient, parameter, momentum, copy);
}

Tensor segment_squares(std::span<const Segment> segments, const Tensor& x) {
  expect_arena(SegmentSquares::name, "input", x, segments);
  Tensor sums = Tensor::empty({static_cast<int64_t>(segments.size())}, DType::f64, x.device());
  Kernels<SegmentSquares>::on(x.device())(segments, x, sums);
  return sums;
}

void clip_multiplier(const Tensor& squares, double max_norm, Tensor& control) {
  constexpr std::string_view op = ClipMultiplier::name;
  expect(op, "squares", squares, {1}, DType::f64, squares.device());
  expect_control(op, control, squares.device());
  check(max_norm > 0, "{}: max_norm {} must be positive", op, max_norm);
  Kernels<ClipMultiplier>::on(control.device())(squares, max_norm, control);
}

}  // namespace trainer::ops
