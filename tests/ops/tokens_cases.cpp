#include "lib/ops/tokens.h"

#include "tests/ops/cases.h"

namespace trainer::test {
namespace {

/// Parameters of the activations' dtype, or f32.
Case embed(int64_t n, int64_t p, int64_t d, int64_t first, bool wide) {
  return {
      .name = fmt::format("{} x {} of {}, {} first, {}", n, p, d, first, wide ? "wide" : "narrow"),
      .terms = n,
      .inputs =
          [=](Inputs& in) {
            const auto parameter = [&](const Shape& s) { return wide ? in.statistic(s) : in.normal(s); };
            return Tensors{in.normal({n, p, d}), first > 0 ? parameter({1, first, d}) : Tensor(),
                           parameter({1, first + p, d})};
          },
      .forward =
          [](const Tensors& in) { return Tensors{ops::embed_tokens(in[0], in[1], in[2], in[2].dtype())}; },
      .backward =
          [=](const Tensors& in, const Tensors&, const Tensor& dy) {
            Tensor dx = Tensor::empty_like(in[0]), dfirst = first > 0 ? Tensor::empty_like(in[1]) : Tensor(),
                   dposition = Tensor::empty_like(in[2]), none;
            ops::embed_tokens_backward(dy, first, dx, dfirst, dposition);
            Tensor again = first > 0 ? Tensor::empty_like(in[1]) : Tensor();
            ops::embed_tokens_backward(dy, first, none, again, none);  // the position is frozen
            if (first > 0) CHECK(difference(again, dfirst, 0) == "");
            return Tensors{dx, dfirst, dposition};
          },
  };
}

std::vector<Case> embed_cases() {
  std::vector<Case> cases;
  for (const bool wide : {false, true}) {
    cases.push_back(embed(3, 4, 8, 1, wide));
    cases.push_back(embed(2, 5, 33, 0, wide));
    cases.push_back(embed(1, 1, 1, 2, wide));
    cases.push_back(embed(0, 3, 4, 1, wide));
    cases.push_back(embed(40, 49, 64, 1, wide));
  }
  return cases;
}

Case slice(const Shape& x, int64_t begin, int64_t end) {
  return {
      .name = fmt::format("{} [{}, {})", x, begin, end),
      .inputs = [=](Inputs& in) { return Tensors{in.normal(x)}; },
      .forward = [=](const Tensors& in) { return Tensors{ops::slice_tokens(in[0], begin, end)}; },
      .backward =
          [=](const Tensors& in, const Tensors&, const Tensor& dy) {
            Tensor dx = Tensor::empty_like(in[0]);
            ops::slice_tokens_backward(dy, begin, dx);
            return Tensors{dx};
          },
      .exact = true,
  };
}

std::vector<Case> slice_cases() {
  return {slice({3, 5, 7}, 0, 1), slice({3, 5, 7}, 1, 5),     slice({2, 4, 3}, 2, 2),
          slice({0, 4, 3}, 1, 2), slice({30, 50, 32}, 1, 50), slice({30, 50, 32}, 0, 1)};
}

TEST_OP("embed_tokens", embed_cases, ops::EmbedTokens, ops::EmbedTokensBackward)
TEST_OP("slice_tokens", slice_cases, ops::SliceTokens, ops::SliceTokensBackward)

}  // namespace
}  // namespace trainer::test
