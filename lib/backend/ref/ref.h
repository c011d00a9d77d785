// The reference backend: every op as plain loops over its formula. It is the specification that the other
// backends are tested against, so it is written to be read, not to be fast.
//
// Tensors are f32 or f64. Sums are accumulated in f64 and rounded once.
#pragma once

#include <string_view>
#include <vector>

#include "lib/tensor/kernels.h"

namespace trainer::ref {

/// Calls f with a zero of x's element type, float or double; throws for others.
template <class F>
void visit_real(std::string_view op, const Tensor& x, F&& f) {
  switch (x.dtype()) {
    case DType::f32:
      return f(float{});
    case DType::f64:
      return f(double{});
    default:
      throw_unsupported(op, x.dtype(), x.device());
  }
}

/// f64 accumulators, one per element of a tensor.
using Sums = std::vector<double>;
inline Sums sums_for(const Tensor& t) { return Sums(static_cast<size_t>(t.numel()), 0.0); }

/// t = scale * sums, rounded.
template <class T>
void store(const Sums& sums, Tensor& t, double scale = 1) {
  T* out = t.data<T>();
  for (const double sum : sums) *out++ = static_cast<T>(sum * scale);
}

/// out [C] = column sums of dy [..., C]: the gradient of a bias.
template <class T>
void sum_rows(const Tensor& dy, Tensor& out) {
  const T* g = dy.data<T>();
  Sums sums = sums_for(out);
  for (int64_t r = 0; r < dy.shape().rows(); ++r) {
    for (double& sum : sums) sum += *g++;
  }
  store<T>(sums, out);
}

}  // namespace trainer::ref
