#include "lib/nn/init.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <initializer_list>
#include <span>

namespace trainer::nn {
namespace {

double polynomial(double x, std::initializer_list<double> coefficients) {
  double value = 0;
  for (const double c : coefficients) value = value * x + c;
  return value;
}

/// The standard normal distribution's quantile of p in [2^-34, 1 - 2^-34], to double precision: Wichura's
/// algorithm AS 241 (Applied Statistics 37, 1988) without its branch for the far tails.
double normal_quantile(double p) {
  const double q = p - 0.5;
  if (std::abs(q) <= 0.425) {
    const double r = 0.180625 - q * q;
    return q *
           polynomial(r, {2509.0809287301226727, 33430.575583588128105, 67265.770927008700853,
                          45921.953931549871457, 13731.693765509461125, 1971.5909503065514427,
                          133.14166789178437745, 3.387132872796366608}) /
           polynomial(
               r, {5226.495278852854561, 28729.085735721942674, 39307.89580009271061, 21213.794301586595867,
                   5394.1960214247511077, 687.1870074920579083, 42.313330701600911252, 1.0});
  }
  const double r = std::sqrt(-std::log(q < 0 ? p : 1 - p)) - 1.6;
  const double tail = polynomial(r, {7.7454501427834140764e-4, 0.0227238449892691845833,
                                     0.24178072517745061177, 1.27045825245236838258, 3.64784832476320460504,
                                     5.7694972214606914055, 4.6303378461565452959, 1.42343711074968357734}) /
                      polynomial(r, {1.05075007164441684324e-9, 5.475938084995344946e-4,
                                     0.0151986665636164571966, 0.14810397642748007459, 0.68976733498510000455,
                                     1.6763848301838038494, 2.05319162663775882187, 1.0});
  return std::copysign(tail, q);
}

/// The part of the standard normal distribution that lies in [-2, 2] / std in units of its own.
double share_within(double std) { return std::erf(2.0 / (std * std::sqrt(2.0))); }

/// Four values from one block of random words: what Rng::uniform, normal and bits give for elements 4k to 4k
/// + 3. `within`: share_within() of a truncated normal distribution.
std::array<double, 4> draw(const Init& init, double within, const std::array<uint32_t, 4>& words) {
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
        v[i] = init.scale * normal_quantile(0.5 + within * ((words[i] + 0.5) * 0x1.0p-32 - 0.5));
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
  const double within = init.kind == Init::Kind::truncated_normal ? share_within(init.scale) : 1;
  for (size_t i = 0; i < values.size(); i += 4) {
    const auto four = draw(
        init, within, init.kind == Init::Kind::constant ? std::array<uint32_t, 4>{} : rng.block(0, i / 4));
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
