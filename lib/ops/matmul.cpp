#include "lib/ops/matmul.h"

#include "lib/ops/checks.h"

namespace trainer::ops {
namespace {

/// The shape of y for inputs x [..., I] and w [O, I].
Shape linear_shape(const Shape& x, const Shape& w) {
  check(x.rank() >= 1, "linear: input is {}, expected [..., I]", x);
  check(w.rank() == 2, "linear: weight is {}, expected [O, I]", w);
  check(x.back() == w[1], "linear: input has {} features, weight expects {}", x.back(), w[1]);
  return x.with(-1, w[0]);
}

/// Memory for the result of `op`, whose inputs are checked.
Tensor output(std::string_view op, const Tensor& x, const Tensor& w, const Tensor& bias) {
  expect_floating(op, "input", x);
  expect_type(op, "weight", w, x.dtype(), x.device());
  const Shape shape = linear_shape(x.shape(), w.shape());
  if (bias.defined()) expect_parameter(op, "bias", bias, {w.size(0)}, x);
  return Tensor::empty(shape, x.dtype(), x.device());
}

}  // namespace

Tensor linear(const Tensor& x, const Tensor& w, const Tensor& bias, Activation activation) {
  Tensor y = output(Linear::name, x, w, bias);
  Kernels<Linear>::on(x.device())(x, w, bias, activation, y);
  return y;
}

GeluResult linear_gelu(const Tensor& x, const Tensor& w, const Tensor& bias, GeluForm form,
                       bool differentiated) {
  GeluResult r{.y = output(LinearGelu::name, x, w, bias), .slope = {}};
  if (differentiated) r.slope = Tensor::empty_like(r.y);
  Kernels<LinearGelu>::on(x.device())(x, w, bias, form, r.y, r.slope);
  return r;
}

void linear_backward_data(const Tensor& dy, const Tensor& w, Tensor& dx) {
  constexpr std::string_view op = LinearBackwardData::name;
  expect_floating(op, "dx", dx);
  expect_type(op, "weight", w, dx.dtype(), dx.device());
  expect(op, "dy", dy, linear_shape(dx.shape(), w.shape()), dx.dtype(), dx.device());
  Kernels<LinearBackwardData>::on(dx.device())(dy, w, dx);
}

void linear_backward_weight(const Tensor& dy, const Tensor& x, Tensor& dw, Tensor& dbias) {
  constexpr std::string_view op = LinearBackwardWeight::name;
  expect_floating(op, "input", x);
  expect_floating(op, "dw", dw);
  expect_parameter(op, "dw", dw, dw.shape(), x);
  expect(op, "dy", dy, linear_shape(x.shape(), dw.shape()), x.dtype(), x.device());
  if (dbias.defined()) expect_parameter(op, "dbias", dbias, {dw.size(0)}, x);
  Kernels<LinearBackwardWeight>::on(x.device())(dy, x, dw, dbias);
}

void bias_backward(const Tensor& dy, Tensor& dbias) {
  expect_floating(BiasBackward::name, "dy", dy);
  expect_parameter(BiasBackward::name, "dbias", dbias, {dy.shape().back()}, dy);
  Kernels<BiasBackward>::on(dy.device())(dy, dbias);
}

}  // namespace trainer::ops
