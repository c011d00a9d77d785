// Checks that the ops share. A check that passes allocates nothing.
#pragma once

#include <string_view>

#include "lib/tensor/tensor.h"

namespace trainer::ops {

/// The dtype of sums, statistics and losses over elements of type `t`: f64 for f64, else f32.
constexpr DType accumulation_dtype(DType t) { return t == DType::f64 ? DType::f64 : DType::f32; }

// Each of these throws Error(Exit::internal) "op: what is ..., expected ..." unless `t` is as said.

/// A tensor of a floating type.
void expect_floating(std::string_view op, std::string_view what, const Tensor& t);
/// A tensor of this dtype on this device.
void expect_type(std::string_view op, std::string_view what, const Tensor& t, DType, Device);
/// A tensor of exactly this shape, dtype and device.
void expect(std::string_view op, std::string_view what, const Tensor& t, const Shape&, DType, Device);
/// A tensor of the shape, dtype and device of `other`.
void expect_like(std::string_view op, std::string_view what, const Tensor& t, const Tensor& other);
/// What a bias or the gradient of a parameter of this shape may be: of the dtype of the activations `x`, or
/// f32 beside 16-bit ones.
void expect_parameter(std::string_view op, std::string_view what, const Tensor& t, const Shape&,
                      const Tensor& x);

}  // namespace trainer::ops
