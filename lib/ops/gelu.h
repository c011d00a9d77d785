// GELU (Hendrycks and Gimpel, 2016). Its derivative is no function of the output, unlike those of
// lib/ops/activation.h: forward gives it as well, so that backward is a product and computes no function again.
//
//   exact  x Phi(x), Phi the standard normal distribution function (torch.nn.GELU)
//   tanh   0.5 x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3)))   (torch.nn.GELU(approximate='tanh'))
//
// After a linear layer: linear_gelu() in lib/ops/matmul.h.
#pragma once

#include "lib/tensor/kernels.h"

namespace trainer::ops {

enum class GeluForm : uint8_t { exact, tanh };

/// y = gelu(x), slope = dy/dx, like x.
struct GeluResult {
  Tensor y, slope;
};
/// Unless `differentiated`, slope is undefined.
GeluResult gelu(const Tensor& x, GeluForm = GeluForm::exact, bool differentiated = true);
/// dx = dy slope; dx may be dy. If it is defined, dbias [C] = column sums of dx [..., C]: the gradient of a
/// bias that was added just before. It may be f32 beside 16-bit dx.
void gelu_backward(const Tensor& dy, const Tensor& slope, Tensor& dx, Tensor& dbias);

// The kernels of a backend (lib/tensor/kernels.h).

struct Gelu {
  static constexpr std::string_view name = "gelu";
  /// slope may be undefined.
  using Fn = void(const Tensor& x, GeluForm, Tensor& y, Tensor& slope);
};
struct GeluBackward {
  static constexpr std::string_view name = "gelu_backward";
  using Fn = void(const Tensor& dy, const Tensor& slope, Tensor& dx, Tensor& dbias);
};

}  // namespace trainer::ops
