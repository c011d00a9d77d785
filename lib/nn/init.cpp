#include "lib/nn/init.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <span>

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

/// Four values from one block of random words: what Rng::uniform, normal and bits give for elements 4k to 4k
/// + 3.
std::array<double, 4> draw(const Init& init, const std::array<uint32_t, 4>& words) {
  std::array<double, 4> v{};
  for (size_t i = 0; i < 4; ++i) {
    switch (init.kind) {
      case Init::Kind::constant:
        v[i] = init.scale;
        break;
      case Init::Kind::normal:
        if (i % 2 == 0) {
          const auto [a, b] = box_muller(words[i], words[i + 1]);
          v[i] = init.scale * a;
          v[i + 1] = init.scale * b;
        }
        break;
      case Init::Kind::truncated_normal:
        v[i] = init.scale * truncated((words[i] + 0.5) * 0x1.0p-32, init.scale);
        break;
      case Init::Kind::uniform:
        v[i] = init.scale * (2.0 * unit_float(words[i]) - 1.0);
        break;
    }
  }
  return v;
}

template <class T>
void fill_values(std::span<T> values, const Init& init, const Rng& rng) {
  for (size_t i = 0; i < values.size(); i += 4) {
    const auto four =
        draw(init, init.kind == Init::Kind::constant ? std::array<uint32_t, 4>{} : rng.block(0, i / 4));
    const size_t n = std::min<size_t>(4, values.size() - i);
    for (size_t k = 0; k < n; ++k) values[i + k] = static_cast<T>(four[k]);
  }
}

}  // namespace

Init Init::kaiming_normal(double fan_out) { return normal(std::sqrt(2.0 / fan_out)); }
Init Init::fan_in_uniform(double fan_in) { return uniform(1.0 / std::sqrt(fan_in)); }

void fill(Tensor& t, const Init& init, const Rng& rng) {
  if (t.dtype() == DType::f64) {
    fill_values(t.span<double>(), init, rng);
  } else {
    fill_values(t.span<float>(), init, rng);
  }
}

}  // namespace trainer::nn
