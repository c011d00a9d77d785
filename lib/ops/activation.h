// Activations between linear layers, elementwise.
//
//   gelu       x Phi(x), Phi the standard normal distribution function (torch.nn.GELU)
//   gelu_tanh  0.5 x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3)))   (Hendrycks and Gimpel, 2016)
#pragma once

#include "lib/tensor/kernels.h"

namespace trainer::ops {

enum class Activation : uint8_t { none, relu, gelu, gelu_tanh };

struct Activate {
  static constexpr std::string_view name = "activate";
  using Fn = void(const Tensor& x, Activation, Tensor& y);
};
struct ActivateBackward {
  static constexpr std::string_view name = "activate_backward";
  using Fn = void(const Tensor& dy, const Tensor& x, Activation, Tensor& dx);
};

Tensor activate(const Tensor& x, Activation);
/// dx = dy f'(x); dx may be dy.
void activate_backward(const Tensor& dy, const Tensor& x, Activation, Tensor& dx);

}  // namespace trainer::ops
