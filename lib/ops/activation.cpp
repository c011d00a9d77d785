#include "lib/ops/activation.h"

#include "lib/ops/checks.h"

namespace trainer::ops {

Tensor activate(const Tensor& x, Activation activation) {
  expect_floating(Activate::name, "input", x);
  if (activation == Activation::none) return x;
  Tensor y = Tensor::empty(x.shape(), x.dtype(), x.device());
  Kernels<Activate>::on(x.device())(x, activation, y);
  return y;
}

void activate_backward(const Tensor& dy, const Tensor& x, Activation activation, Tensor& dx) {
  constexpr std::string_view op = ActivateBackward::name;
  expect_floating(op, "input", x);
  expect_like(op, "dy", dy, x);
  expect_like(op, "dx", dx, x);
  if (activation == Activation::none) {
    if (dx.raw() != dy.raw()) dx.copy_from(dy);
    return;
  }
  Kernels<ActivateBackward>::on(x.device())(dy, x, activation, dx);
}

}  // namespace trainer::ops
