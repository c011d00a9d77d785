#include "lib/ops/gelu.h"

#include "lib/ops/checks.h"

namespace trainer::ops {

Tensor gelu(const Tensor& x, GeluForm form) {
  expect_floating(Gelu::name, "input", x);
  Tensor y = Tensor::empty_like(x);
  Kernels<Gelu>::on(x.device())(x, form, y);
  return y;
}

void gelu_backward(const Tensor& dy, const Tensor& x, GeluForm form, Tensor& dx) {
  constexpr std::string_view op = GeluBackward::name;
  expect_floating(op, "input", x);
  expect_like(op, "dy", dy, x);
  expect_like(op, "dx", dx, x);
  Kernels<GeluBackward>::on(x.device())(dy, x, form, dx);
}

}  // namespace trainer::ops
