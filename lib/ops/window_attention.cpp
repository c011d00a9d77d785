#include "lib/ops/window_attention.h"

#include "lib/ops/checks.h"

namespace trainer::ops {
namespace {

/// The arguments, checked, with their scale.
WindowAttentionArgs expect_inputs(std::string_view op, const Tensor& qkv, const Tensor& bias,
                                  WindowAttentionArgs args) {
  expect_floating(op, "qkv", qkv);
  const Shape& s = qkv.shape();
  check(s.rank() == 6 && s[3] == 3 && s[5] > 0, "{}: qkv is {}, expected [N, H, W, 3, heads, D]", op, s);
  const auto [window, shift] = std::pair(args.window, args.shift);
  check(window.h > 0 && window.w > 0 && s[1] % window.h == 0 && s[2] % window.w == 0,
        "{}: a map of {}x{} tokens cannot be cut into windows of {}x{}", op, s[1], s[2], window.h, window.w);
  check(shift.h >= 0 && shift.h < window.h && shift.w >= 0 && shift.w < window.w,
        "{}: shift {}x{} is not within a window of {}x{}", op, shift.h, shift.w, window.h, window.w);
  const int64_t length = window.h * window.w;
  if (bias.defined())
    expect(op, "bias", bias, {s[4], length, length}, accumulation_dtype(qkv.dtype()), qkv.device());
  args.scale = attention_scale(op, args.scale, s[5]);
  return args;
}

Shape output_shape(const Shape& qkv) { return {qkv[0], qkv[1], qkv[2], qkv[4], qkv[5]}; }
Shape lse_shape(const Shape& qkv, const WindowAttentionArgs& args) {
  const Windows windows(qkv, args);
  return {qkv[0], windows.count(), qkv[4], windows.length()};
}

}  // namespace

WindowAttentionResult window_attention(const Tensor& qkv, const Tensor& bias,
                                       const WindowAttentionArgs& arguments) {
  const WindowAttentionArgs args = expect_inputs(WindowAttention::name, qkv, bias, arguments);
  const DType wide = accumulation_dtype(qkv.dtype());
  WindowAttentionResult out{Tensor::empty(output_shape(qkv.shape()), qkv.dtype(), qkv.device()),
                            Tensor::empty(lse_shape(qkv.shape(), args), wide, qkv.device())};
  Kernels<WindowAttention>::on(qkv.device())(qkv, bias, args, out.y, out.lse);
  return out;
}

void window_attention_backward(const Tensor& dy, const Tensor& qkv, const Tensor& bias,
                               const WindowAttentionArgs& arguments, const WindowAttentionResult& forward,
                               Tensor& dqkv, Tensor& dbias) {
  constexpr std::string_view op = WindowAttentionBackward::name;
  const WindowAttentionArgs args = expect_inputs(op, qkv, bias, arguments);
  expect(op, "y", forward.y, output_shape(qkv.shape()), qkv.dtype(), qkv.device());
  expect(op, "lse", forward.lse, lse_shape(qkv.shape(), args), accumulation_dtype(qkv.dtype()), qkv.device());
  expect_like(op, "dy", dy, forward.y);
  expect_like(op, "dqkv", dqkv, qkv);
  if (dbias.defined()) {
    check(bias.defined(), "{}: dbias is defined, but bias is not", op);
    expect_like(op, "dbias", dbias, bias);
  }
  Kernels<WindowAttentionBackward>::on(qkv.device())(dy, qkv, bias, args, forward.y, forward.lse, dqkv,
                                                     dbias);
}

}  // namespace trainer::ops
