// GELU (Hendrycks and Gimpel, 2016). Its derivative needs the input, unlike those of lib/ops/activation.h.
//
//   exact  x Phi(x), Phi the standard normal distribution function (torch.nn.GELU)
//   tanh   0.5 x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3)))   (torch.nn.GELU(approximate='tanh'))
#pragma once

#include "lib/tensor/kernels.h"

namespace trainer::ops {

enum class GeluForm : uint8_t { exact, tanh };

Tensor gelu(const Tensor& x, GeluForm = GeluForm::exact);
/// dx = dy times the derivative at x; dx may be dy.
void gelu_backward(const Tensor& dy, const Tensor& x, GeluForm, Tensor& dx);

// The kernels of a backend (lib/tensor/kernels.h).

struct Gelu {
  static constexpr std::string_view name = "gelu";
  using Fn = void(const Tensor& x, GeluForm, Tensor& y);
};
struct GeluBackward {
  static constexpr std::string_view name = "gelu_backward";
  using Fn = void(const Tensor& dy, const Tensor& x, GeluForm, Tensor& dx);
};

}  // namespace trainer::ops
