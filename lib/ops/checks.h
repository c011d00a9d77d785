// Checks that the ops share. A check that passes allocates nothing.
#pragma once

#include <string_view>

#include "lib/tensor/tensor.h"

namespace trainer::ops {

/// The dtype of sums, statistics and losses over elements of type `t`: f64 for f64, else f32.
constexpr DType accumulation_dtype(DType t) { return t == DType::f64 ? DType::f64 : DType::f32; }

// Each of these throws Error(Exit::internal) unless it holds: "OP: WHAT is f32 [3] on cpu, expected f32 [4]
// on cpu".

/// t has a floating dtype.
void expect_floating(std::string_view op, std::string_view what, const Tensor& t);
/// t has this dtype and device.
void expect_type(std::string_view op, std::string_view what, const Tensor& t, DType, Device);
/// t has this shape, dtype and device.
void expect(std::string_view op, std::string_view what, const Tensor& t, const Shape&, DType, Device);
/// t has the shape, dtype and device of `other`.
void expect_like(std::string_view op, std::string_view what, const Tensor& t, const Tensor& other);
/// t, a bias or the gradient of a parameter, has this shape, x's device, and x's dtype or f32 beside a 16-bit
/// x.
void expect_parameter(std::string_view op, std::string_view what, const Tensor& t, const Shape&,
                      const Tensor& x);
/// t, a statistic or parameter of a normalisation, is [C] for x [..., C], in accumulation_dtype().
void expect_per_channel(std::string_view op, std::string_view what, const Tensor& t, const Tensor& x);

}  // namespace trainer::ops
