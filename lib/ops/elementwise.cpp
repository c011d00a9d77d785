#include "lib/ops/elementwise.h"

#include "lib/ops/checks.h"

namespace trainer::ops {

Tensor activate(const Tensor& x, Activation activation) {
  expect_floating(Activate::name, "input", x);
  Tensor y = Tensor::empty_like(x);
  Kernels<Activate>::on(x.device())(x, activation, y);
  return y;
}

void activate_backward(const Tensor& dy, const Tensor& y, Activation activation, Tensor& dx) {
  expect_floating(ActivateBackward::name, "y", y);
  expect_like(ActivateBackward::name, "dy", dy, y);
  expect_like(ActivateBackward::name, "dx", dx, y);
  Kernels<ActivateBackward>::on(y.device())(dy, y, activation, dx);
}

Tensor add(const Tensor& a, const Tensor& b) {
  expect_floating(Add::name, "the first operand", a);
  expect_floating(Add::name, "the second operand", b);
  const bool mixed = (a.dtype() == DType::f32 && size_of(b.dtype()) == 2) ||
                     (b.dtype() == DType::f32 && size_of(a.dtype()) == 2);
  expect(Add::name, "the second operand", b, a.shape(), mixed ? b.dtype() : a.dtype(), a.device());
  Tensor y = Tensor::empty_like(size_of(a.dtype()) < size_of(b.dtype()) ? b : a);
  Kernels<Add>::on(a.device())(a, b, y);
  return y;
}

void add_into(Tensor& a, const Tensor& b) {
  expect_floating(Add::name, "the first operand", a);
  expect_like(Add::name, "the second operand", b, a);
  Kernels<Add>::on(a.device())(a, b, a);
}

Tensor scale(const Tensor& x, double factor) {
  expect_floating(Scale::name, "input", x);
  Tensor y = Tensor::empty_like(x);
  Kernels<Scale>::on(x.device())(x, factor, y);
  return y;
}

Tensor cast(const Tensor& x, DType dtype) {
  expect_floating(Cast::name, "input", x);
  check(is_floating(dtype), "cast: {} is not a floating type", name_of(dtype));
  Tensor y = Tensor::empty(x.shape(), dtype, x.device());
  cast_into(x, y);
  return y;
}

void cast_into(const Tensor& x, Tensor& y) {
  expect_floating(Cast::name, "input", x);
  expect_floating(Cast::name, "output", y);
  expect(Cast::name, "output", y, x.shape(), y.dtype(), x.device());
  Kernels<Cast>::on(x.device())(x, y);
}

Tensor dropout(const Tensor& x, const DropoutArgs& args) {
  expect_floating(Dropout::name, "input", x);
  check(args.p >= 0 && args.p <= 1, "dropout: probability {} is outside [0, 1]", args.p);
  check(args.first >= 0, "dropout: the position {} of the first element is negative", args.first);
  check(!args.per_row || x.rank() >= 1, "dropout: a tensor of rank 0 has no rows");
  Tensor y = Tensor::empty_like(x);
  Kernels<Dropout>::on(x.device())(x, args, y);
  return y;
}

}  // namespace trainer::ops
