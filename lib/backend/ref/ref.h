// The reference backend: every op by its plain formula, one term after the other. It specifies what the other
// backends compute.
//
// It computes in f32 and f64. Sums run in f64 and are rounded once, so what a fast kernel may differ by is
// its own rounding.
#pragma once

#include <string_view>
#include <vector>

#include "lib/tensor/kernels.h"

namespace trainer::ref {

/// Calls f with a value of the element type of x.
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

/// Sums on their way into a tensor, an element each.
using Sums = std::vector<double>;
inline Sums sums_for(const Tensor& t) { return Sums(static_cast<size_t>(t.numel()), 0.0); }

/// t = scale * sums
template <class T>
void store(const Sums& sums, Tensor& t, double scale = 1) {
  T* out = t.data<T>();
  for (const double sum : sums) *out++ = static_cast<T>(sum * scale);
}

}  // namespace trainer::ref
