#include "lib/backend/ref/gelu.h"

#include <cmath>

#include "lib/backend/ref/ref.h"

namespace trainer::ref {
namespace {

using ops::GeluForm;

constexpr double inverse_sqrt_2 = 0.70710678118654752440, inverse_sqrt_2pi = 0.39894228040143267794,
                 sqrt_2_over_pi = 0.79788456080286535588, cubic = 0.044715;

double value(double x, GeluForm form) {
  if (form == GeluForm::exact) return 0.5 * x * std::erfc(-x * inverse_sqrt_2);
  return 0.5 * x * (1 + std::tanh(sqrt_2_over_pi * (x + cubic * x * x * x)));
}

double derivative(double x, GeluForm form) {
  if (form == GeluForm::exact)
    return 0.5 * std::erfc(-x * inverse_sqrt_2) + x * inverse_sqrt_2pi * std::exp(-0.5 * x * x);
  const double t = std::tanh(sqrt_2_over_pi * (x + cubic * x * x * x));
  return 0.5 * (1 + t) + 0.5 * x * (1 - t * t) * sqrt_2_over_pi * (1 + 3 * cubic * x * x);
}

void gelu_backward(const Tensor& dy, const Tensor& slope, Tensor& dx, Tensor& dbias) {
  visit_real(ops::GeluBackward::name, dx, [&]<class T>(T) {
    for (int64_t i = 0; i < dx.numel(); ++i) dx.data<T>()[i] = dy.data<T>()[i] * slope.data<T>()[i];
    if (dbias.defined()) sum_rows<T>(dx, dbias);
  });
}

[[maybe_unused]] const bool added[] = {
    Kernels<ops::Gelu>::add(Device::Kind::ref, gelu),
    Kernels<ops::GeluBackward>::add(Device::Kind::ref, gelu_backward),
};

}  // namespace

void gelu(const Tensor& x, GeluForm form, Tensor& y, Tensor& slope) {
  visit_real(ops::Gelu::name, x, [&]<class T>(T) {
    for (int64_t i = 0; i < x.numel(); ++i) {
      const double v = x.data<T>()[i];
      y.data<T>()[i] = static_cast<T>(value(v, form));
      if (slope.defined()) slope.data<T>()[i] = static_cast<T>(derivative(v, form));
    }
  });
}

}  // namespace trainer::ref
