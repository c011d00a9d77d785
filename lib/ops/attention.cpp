#include "lib/ops/attention.h"

#include <cmath>

#include "lib/ops/checks.h"

namespace trainer::ops {
namespace {

void expect_inputs(std::string_view op, const Tensor& qkv, const Tensor& bias, const Tensor& mask) {
  expect_floating(op, "qkv", qkv);
  const Shape& s = qkv.shape();
  check(s.rank() == 5 && s[2] == 3 && s[4] > 0, "{}: qkv is {}, expected [N, L, 3, H, D]", op, s);
  const DType wide = accumulation_dtype(qkv.dtype());
  if (bias.defined()) expect(op, "bias", bias, {s[3], s[1], s[1]}, wide, qkv.device());
  if (!mask.defined()) return;
  check(mask.rank() == 3 && mask.size(0) > 0, "{}: mask is {}, expected [G, L, L]", op, mask.shape());
  expect(op, "mask", mask, {mask.size(0), s[1], s[1]}, wide, qkv.device());
  check(s[0] % mask.size(0) == 0, "{}: {} samples are not a multiple of the {} masks", op, s[0],
        mask.size(0));
}

/// Of the tokens of qkv.
int64_t queries(std::string_view op, const Shape& qkv, const AttentionArgs& args) {
  check(args.queries >= 0 && args.queries <= qkv[1], "{}: {} queries of sequences of {} tokens", op,
        args.queries, qkv[1]);
  return args.queries != 0 ? args.queries : qkv[1];
}
Shape output_shape(const Shape& qkv, int64_t queries) { return {qkv[0], queries, qkv[3], qkv[4]}; }
Shape lse_shape(const Shape& qkv, int64_t queries) { return {qkv[0], qkv[3], queries}; }

}  // namespace

double attention_scale(std::string_view op, double scale, int64_t width) {
  check(scale >= 0, "{}: scale {} is negative; expected a positive one, or 0 for 1 / sqrt(D)", op, scale);
  return scale != 0 ? scale : 1 / std::sqrt(static_cast<double>(width));
}

AttentionResult attention(const Tensor& qkv, const Tensor& bias, const Tensor& mask,
                          const AttentionArgs& args) {
  constexpr std::string_view op = Attention::name;
  expect_inputs(op, qkv, bias, mask);
  const int64_t q = queries(op, qkv.shape(), args);
  AttentionResult out{
      Tensor::empty(output_shape(qkv.shape(), q), qkv.dtype(), qkv.device()),
      Tensor::empty(lse_shape(qkv.shape(), q), accumulation_dtype(qkv.dtype()), qkv.device())};
  Kernels<Attention>::on(qkv.device())(qkv, bias, mask, attention_scale(op, args.scale, qkv.size(4)), out.y,
                                       out.lse);
  return out;
}

void attention_backward(const Tensor& dy, const Tensor& qkv, const Tensor& bias, const Tensor& mask,
                        const AttentionArgs& args, const AttentionResult& forward, Tensor& dqkv,
                        Tensor& dbias) {
  constexpr std::string_view op = AttentionBackward::name;
  expect_inputs(op, qkv, bias, mask);
  const int64_t q = queries(op, qkv.shape(), args);
  expect(op, "y", forward.y, output_shape(qkv.shape(), q), qkv.dtype(), qkv.device());
  expect(op, "lse", forward.lse, lse_shape(qkv.shape(), q), accumulation_dtype(qkv.dtype()), qkv.device());
  expect_like(op, "dy", dy, forward.y);
  expect_like(op, "dqkv", dqkv, qkv);
  if (dbias.defined()) {
    check(bias.defined(), "{}: dbias is defined, but bias is not", op);
    expect_like(op, "dbias", dbias, bias);
  }
  Kernels<AttentionBackward>::on(qkv.device())(
      dy, qkv, bias, mask, attention_scale(op, args.scale, qkv.size(4)), forward.y, forward.lse, dqkv, dbias);
}

}  // namespace trainer::ops
