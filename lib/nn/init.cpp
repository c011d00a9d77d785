#include "lib/nn/init.h"

#include <cmath>

namespace trainer::nn {
namespace {

/// Standard normal restricted to [-2, 2] / std in units of its own, by inverting the distribution function on
/// that interval.
double truncated(double u, double std) {
  const double limit = std::erf(2.0 / (std * std::sqrt(2.0)));
  const double target = (2 * u - 1) * limit;  // = erf(z / sqrt 2)
  // Winitzki's approximation, then Newton steps on erf: exact to double within three.
  const double a = 0.147;
  const double l = std::log((1 - target) * (1 + target));
  const double b = 2 / (3.14159265358979323846 * a) + l / 2;
  double x = std::copysign(std::sqrt(std::max(0.0, std::sqrt(b * b - l / a) - b)), target);
  for (int i = 0; i < 3; ++i) x -= (std::erf(x) - target) / (1.1283791670955126 * std::exp(-x * x));
  return x * std::sqrt(2.0);
}

template <class T>
void fill_values(T* p, int64_t n, const Init& init, const Rng& rng) {
  for (int64_t i = 0; i < n; ++i) {
    const auto e = static_cast<uint64_t>(i);
    double v = 0;
    switch (init.kind) {
      case Init::Kind::constant:
        v = init.scale;
        break;
      case Init::Kind::normal:
        v = init.scale * rng.normal(0, e);
        break;
      case Init::Kind::truncated_normal:
        v = init.scale * truncated((rng.bits(0, e) + 0.5) * 0x1.0p-32, init.scale);
        break;
      case Init::Kind::uniform:
        v = init.scale * (2.0 * rng.uniform(0, e) - 1.0);
        break;
    }
    p[i] = static_cast<T>(v);
  }
}

}  // namespace

Init Init::kaiming_normal(double fan_out) { return normal(std::sqrt(2.0 / fan_out)); }
Init Init::fan_in_uniform(double fan_in) { return uniform(1.0 / std::sqrt(fan_in)); }

void fill(Tensor& t, const Init& init, const Rng& rng) {
  if (t.dtype() == DType::f64) {
    fill_values(t.data<double>(), t.numel(), init, rng);
  } else {
    fill_values(t.data<float>(), t.numel(), init, rng);
  }
}

}  // namespace trainer::nn
