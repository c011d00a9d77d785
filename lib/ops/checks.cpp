#include "lib/ops/checks.h"

namespace trainer::ops {

void expect_floating(std::string_view op, std::string_view what, const Tensor& t) {
  if (!t.defined() || !is_floating(t.dtype())) [[unlikely]] {
    fail(Exit::internal, "{}: {} is {}, expected a floating type", op, what, describe(t));
  }
}

void expect_type(std::string_view op, std::string_view what, const Tensor& t, DType dtype, Device device) {
  if (!t.defined() || t.dtype() != dtype || t.device() != device) [[unlikely]] {
    fail(Exit::internal, "{}: {} is {}, expected {} on {}", op, what, describe(t), name_of(dtype),
         device.str());
  }
}

void expect(std::string_view op, std::string_view what, const Tensor& t, const Shape& shape, DType dtype,
            Device device) {
  if (!t.defined() || t.shape() != shape || t.dtype() != dtype || t.device() != device) [[unlikely]] {
    fail(Exit::internal, "{}: {} is {}, expected {} {} on {}", op, what, describe(t), name_of(dtype), shape,
         device.str());
  }
}

void expect_like(std::string_view op, std::string_view what, const Tensor& t, const Tensor& other) {
  expect(op, what, t, other.shape(), other.dtype(), other.device());
}

void expect_parameter(std::string_view op, std::string_view what, const Tensor& t, const Shape& shape,
                      const Tensor& x) {
  const bool wide = t.defined() && t.dtype() == accumulation_dtype(x.dtype());
  expect(op, what, t, shape, wide ? t.dtype() : x.dtype(), x.device());
}

void expect_per_channel(std::string_view op, std::string_view what, const Tensor& t, const Tensor& x) {
  expect(op, what, t, {x.shape().back()}, accumulation_dtype(x.dtype()), x.device());
}

}  // namespace trainer::ops
