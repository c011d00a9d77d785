#include <cmath>
#include <limits>

#include "lib/ops/checks.h"
#include "tests/ops/cases.h"

namespace trainer::test {
namespace {

constexpr Device ref{Device::Kind::ref};

}  // namespace

Tensor Inputs::fill(const Shape& shape, DType dtype, const std::function<double(uint64_t)>& value) {
  Tensor t = Tensor::empty(shape, DType::f64, ref);
  uint64_t i = 0;
  for (double& v : t.span<double>()) v = value(i++);
  ++next_;
  return t.to(dtype);
}

Tensor Inputs::normal(const Shape& shape) {
  return fill(shape, dtype_, [&](uint64_t i) { return rng_.normal(next_, i); });
}

Tensor Inputs::large(const Shape& shape) {
  return fill(shape, dtype_, [&](uint64_t i) { return 50.0 * rng_.normal(next_, i); });
}

Tensor Inputs::ties(const Shape& shape) {
  return fill(shape, dtype_, [&](uint64_t i) { return static_cast<double>(rng_.below(3, next_, i)) - 1; });
}

Tensor Inputs::special(const Shape& shape) {
  constexpr double infinity = std::numeric_limits<double>::infinity();
  return fill(shape, dtype_, [&](uint64_t i) {
    switch (rng_.below(8, next_ + 1000, i)) {
      case 0:
        return std::numeric_limits<double>::quiet_NaN();
      case 1:
        return infinity;
      case 2:
        return -infinity;
      case 3:
        return -0.0;
      default:
        return double{rng_.normal(next_, i)};
    }
  });
}

Tensor Inputs::statistic(const Shape& shape) {
  return fill(shape, ops::accumulation_dtype(dtype_), [&](uint64_t i) { return rng_.normal(next_, i); });
}

Tensor Inputs::variance(const Shape& shape) {
  return fill(shape, ops::accumulation_dtype(dtype_),
              [&](uint64_t i) { return 0.5 + rng_.uniform(next_, i); });
}

Tensor Inputs::labels(int64_t rows, int64_t classes) {
  return fill({rows}, DType::i64, [&](uint64_t i) {
    return static_cast<double>(rng_.below(static_cast<uint64_t>(classes), next_, i));
  });
}

Tensor Inputs::probabilities(int64_t rows, int64_t classes) {
  Tensor t = fill({rows, classes}, DType::f64, [&](uint64_t i) { return std::exp(rng_.normal(next_, i)); });
  double* p = t.data<double>();
  for (int64_t n = 0; n < rows; ++n, p += classes) {
    double sum = 0;
    for (int64_t k = 0; k < classes; ++k) sum += p[k];
    for (int64_t k = 0; k < classes; ++k) p[k] /= sum;
  }
  return t.to(ops::accumulation_dtype(dtype_));
}

Tensor Inputs::f64(const std::vector<double>& values) {
  return Tensor::of<double>(values, {static_cast<int64_t>(values.size())}, ref);
}

}  // namespace trainer::test
