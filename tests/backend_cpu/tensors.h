// Tensors that tests of the CPU's kernels compute on, and a comparison of results.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <vector>

#include "lib/base/rng.h"
#include "lib/tensor/tensor.h"

namespace trainer::cpu {

using Tensors = std::vector<Tensor>;

/// Numbers of the standard normal distribution, the same for the same `purpose`, rounded to the dtype.
inline Tensor normal(const Shape& shape, uint64_t purpose, DType dtype = DType::f32) {
  Tensor t = Tensor::empty(shape);
  const Rng rng(purpose);
  uint64_t i = 0;
  for (float& v : t.span<float>()) v = rng.normal(0, i++);
  return t.to(dtype);
}

/// Of one shape and dtype, and equal in every byte; or both undefined.
inline bool same_bits(const Tensor& a, const Tensor& b) {
  if (!a.defined() || !b.defined()) return a.defined() == b.defined();
  return a.shape() == b.shape() && a.dtype() == b.dtype() && std::memcmp(a.raw(), b.raw(), a.bytes()) == 0;
}
inline bool same_bits(const Tensors& a, const Tensors& b) {
  return std::ranges::equal(a, b, [](const Tensor& x, const Tensor& y) { return same_bits(x, y); });
}

}  // namespace trainer::cpu
