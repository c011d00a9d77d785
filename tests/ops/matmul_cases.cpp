#include "lib/ops/matmul.h"

#include "tests/ops/cases.h"

namespace trainer::test {
namespace {

Case make(const Shape& x, int64_t out, bool bias) {
  const int64_t rows = x.front(x.rank() - 1).numel();
  return {
      .name = fmt::format("{} to {}{}", x, out, bias ? " with bias" : ""),
      .terms = std::max({x.back(), out, rows}),
      .inputs =
          [=](Inputs& in) {
            return Tensors{in.normal(x), in.normal({out, x.back()}), bias ? in.normal({out}) : Tensor()};
          },
      .forward = [](const Tensors& in) { return Tensors{ops::linear(in[0], in[1], in[2])}; },
      .backward =
          [=](const Tensors& in, const Tensors&, const Tensor& dy) {
            Tensor dx = Tensor::empty_like(in[0]), dw = Tensor::empty_like(in[1]),
                   dbias = bias ? Tensor::empty_like(in[2]) : Tensor();
            ops::linear_backward_data(dy, in[1], dx);
            ops::linear_backward_weight(dy, in[0], dw, dbias);
            return Tensors{dx, dw, dbias};
          },
  };
}

std::vector<Case> linear_cases() {
  std::vector<Case> cases{
      make({1, 1}, 1, false),       make({64, 64}, 256, true), make({64, 256}, 10, true),
      make({3, 1000}, 7, false),    make({200, 17}, 33, true), make({17}, 5, true),
      make({2, 3, 5, 7}, 11, true), make({1, 512}, 100, true), make({0, 4}, 3, true),
  };
  for (int64_t length = 1; length <= 70; ++length)
    cases.push_back(make({1 + length % 5, length}, 71 - length, length % 2 == 0));
  return cases;
}

TEST_OP("linear", linear_cases, ops::Linear, ops::LinearBackwardData, ops::LinearBackwardWeight)

TEST_CASE("linear: backends, large enough for several pieces", "[linear][backends]") {
  const std::vector<Case> cases{make({333, 130}, 200, true), make({3, 401, 64}, 131, true),
                                make({650, 47}, 300, false)};
  compare_backends("linear", cases,
                   has_kernels<ops::Linear, ops::LinearBackwardData, ops::LinearBackwardWeight>);
}

}  // namespace
}  // namespace trainer::test
