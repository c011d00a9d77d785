// The matrix product of a linear layer (torch.nn.functional.linear), and an activation or GELU that follows it.
//
//   x [..., I], w [O, I], bias [O] or undefined  ->  y [..., O] = activation(x w^T + bias)
//
// x and w have one floating dtype; the bias and the parameters' gradients may be f32 beside 16-bit ones.
#pragma once

#include "lib/ops/activation.h"
#include "lib/ops/gelu.h"
#include "lib/tensor/kernels.h"

namespace trainer::ops {

Tensor linear(const Tensor& x, const Tensor& w, const Tensor& bias = {}, Activation = Activation::none);
/// gelu(x w^T + bias), [..., O]; gelu_backward() gives dy as the functions below take it, and dbias.
GeluResult linear_gelu(const Tensor& x, const Tensor& w, const Tensor& bias, GeluForm = GeluForm::exact,
                       bool differentiated = true);
/// Writes dx [..., I] = dy w; here and below dy is the gradient before the activation (activate_backward,
/// gelu_backward).
void linear_backward_data(const Tensor& dy, const Tensor& w, Tensor& dx);
/// Writes dw [O, I] = dy^T x and, if it is defined, dbias [O] = column sums of dy.
void linear_backward_weight(const Tensor& dy, const Tensor& x, Tensor& dw, Tensor& dbias);

/// Writes dbias [C] = column sums of dy [..., C]: the gradient of a bias alone, where the weight is frozen.
void bias_backward(const Tensor& dy, Tensor& dbias);

// The kernels of a backend (lib/tensor/kernels.h).

inline double linear_flops(const Tensor& x, const Tensor& w) {
  return 2.0 * static_cast<double>(x.numel()) * static_cast<double>(w.size(0));
}

struct Linear {
  static constexpr std::string_view name = "linear";
  using Fn = void(const Tensor& x, const Tensor& w, const Tensor& bias, Activation, Tensor& y);
  static double flops(const Tensor& x, const Tensor& w, const Tensor&, Activation, const Tensor&) {
    return linear_flops(x, w);
  }
};
struct LinearGelu {
  static constexpr std::string_view name = "linear_gelu";
  /// slope may be undefined.
  using Fn = void(const Tensor& x, const Tensor& w, const Tensor& bias, GeluForm, Tensor& y, Tensor& slope);
  static double flops(const Tensor& x, const Tensor& w, const Tensor&, GeluForm, const Tensor&,
                      const Tensor&) {
    return linear_flops(x, w);
  }
};
struct LinearBackwardData {
  static constexpr std::string_view name = "linear_backward_data";
  using Fn = void(const Tensor& dy, const Tensor& w, Tensor& dx);
  static double flops(const Tensor&, const Tensor& w, const Tensor& dx) { return linear_flops(dx, w); }
};
struct LinearBackwardWeight {
  static constexpr std::string_view name = "linear_backward_weight";
  using Fn = void(const Tensor& dy, const Tensor& x, Tensor& dw, Tensor& dbias);
  static double flops(const Tensor&, const Tensor& x, const Tensor& dw, const Tensor&) {
    return linear_flops(x, dw);
  }
};

struct BiasBackward {
  static constexpr std::string_view name = "bias_backward";
  using Fn = void(const Tensor& dy, Tensor& dbias);
};

}  // namespace trainer::ops
