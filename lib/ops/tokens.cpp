#include "lib/ops/tokens.h"

#include "lib/ops/checks.h"

namespace trainer::ops {
namespace {

void expect_sequences(std::string_view op, std::string_view what, const Tensor& x) {
  expect_floating(op, what, x);
  check(x.rank() == 3, "{}: {} is {}, expected [N, L, D]", op, what, x.shape());
}

}  // namespace

Tensor embed_tokens(const Tensor& x, const Tensor& first, const Tensor& position,
                    std::optional<DType> dtype) {
  constexpr std::string_view op = EmbedTokens::name;
  expect_sequences(op, "input", x);
  const int64_t width = x.size(2), before = first.defined() ? first.size(1) : 0;
  if (first.defined()) expect_parameter(op, "first tokens", first, {1, before, width}, x);
  expect_parameter(op, "position", position, {1, before + x.size(1), width}, x);
  Tensor y = Tensor::empty({x.size(0), before + x.size(1), width}, dtype.value_or(x.dtype()), x.device());
  Kernels<EmbedTokens>::on(x.device())(x, first, position, y);
  return y;
}

void embed_tokens_backward(const Tensor& dy, int64_t first, Tensor& dx, Tensor& dfirst, Tensor& dposition) {
  constexpr std::string_view op = EmbedTokensBackward::name;
  expect_sequences(op, "dy", dy);
  const int64_t length = dy.size(1), width = dy.size(2);
  check(first >= 0 && first <= length, "{}: {} first tokens, but dy has {} tokens", op, first, length);
  const auto expect_shape = [&](std::string_view what, const Tensor& t, const Shape& shape) {
    if (!t.defined()) return;
    expect_floating(op, what, t);
    expect(op, what, t, shape, t.dtype(), dy.device());
  };
  expect_shape("dx", dx, {dy.size(0), length - first, width});
  expect_shape("dfirst", dfirst, {1, first, width});
  expect_shape("dposition", dposition, {1, length, width});
  Kernels<EmbedTokensBackward>::on(dy.device())(dy, first, dx, dfirst, dposition);
}

Tensor slice_tokens(const Tensor& x, int64_t begin, int64_t end) {
  constexpr std::string_view op = SliceTokens::name;
  expect_sequences(op, "input", x);
  check(0 <= begin && begin <= end && end <= x.size(1), "{}: tokens [{}, {}) are outside of a sequence of {}",
        op, begin, end, x.size(1));
  Tensor y = Tensor::empty({x.size(0), end - begin, x.size(2)}, x.dtype(), x.device());
  Kernels<SliceTokens>::on(x.device())(x, begin, y);
  return y;
}

void slice_tokens_backward(const Tensor& dy, int64_t begin, Tensor& dx) {
  constexpr std::string_view op = SliceTokensBackward::name;
  expect_sequences(op, "dx", dx);
  expect_sequences(op, "dy", dy);
  check(0 <= begin && begin + dy.size(1) <= dx.size(1),
        "{}: {} tokens from {} on do not fit into a sequence of {}", op, dy.size(1), begin, dx.size(1));
  expect(op, "dy", dy, {dx.size(0), dy.size(1), dx.size(2)}, dx.dtype(), dx.device());
  Kernels<SliceTokensBackward>::on(dx.device())(dy, begin, dx);
}

}  // namespace trainer::ops
