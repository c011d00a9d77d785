#include "lib/ops/activation.h"

#include <cmath>

#include "lib/backend/ref/ref.h"

namespace trainer::ref {
namespace {

using ops::Activation;

constexpr double inverse_sqrt_2 = 0.70710678118654752440, inverse_sqrt_2pi = 0.39894228040143267794,
                 sqrt_2_over_pi = 0.79788456080286535588, cubic = 0.044715;

double value(double x, Activation f) {
  switch (f) {
    case Activation::relu:
      return x <= 0 ? 0 : x;  // NaN stays
    case Activation::gelu:
      return 0.5 * x * (1 + std::erf(x * inverse_sqrt_2));
    case Activation::gelu_tanh:
      return 0.5 * x * (1 + std::tanh(sqrt_2_over_pi * (x + cubic * x * x * x)));
    case Activation::none:
      break;
  }
  return x;
}

double derivative(double x, Activation f) {
  switch (f) {
    case Activation::relu:
      return x > 0 ? 1 : 0;
    case Activation::gelu:
      return 0.5 * (1 + std::erf(x * inverse_sqrt_2)) + x * inverse_sqrt_2pi * std::exp(-0.5 * x * x);
    case Activation::gelu_tanh: {
      const double t = std::tanh(sqrt_2_over_pi * (x + cubic * x * x * x));
      return 0.5 * (1 + t) + 0.5 * x * (1 - t * t) * sqrt_2_over_pi * (1 + 3 * cubic * x * x);
    }
    case Activation::none:
      break;
  }
  return 1;
}

void activate(const Tensor& x, Activation f, Tensor& y) {
  visit_real(ops::Activate::name, x, [&]<class T>(T) {
    for (int64_t i = 0; i < x.numel(); ++i) y.data<T>()[i] = static_cast<T>(value(x.data<T>()[i], f));
  });
}

void activate_backward(const Tensor& dy, const Tensor& x, Activation f, Tensor& dx) {
  visit_real(ops::ActivateBackward::name, x, [&]<class T>(T) {
    for (int64_t i = 0; i < x.numel(); ++i)
      dx.data<T>()[i] = static_cast<T>(dy.data<T>()[i] * derivative(x.data<T>()[i], f));
  });
}

[[maybe_unused]] const bool added[] = {
    Kernels<ops::Activate>::add(Device::Kind::ref, activate),
    Kernels<ops::ActivateBackward>::add(Device::Kind::ref, activate_backward),
};

}  // namespace
}  // namespace trainer::ref
