// Access to f32 tensors for kernels that compute in nothing else.
#pragma once

#include <string_view>

#include "lib/tensor/kernels.h"

namespace trainer::cpu {

/// The elements of t, null if there is no tensor; another dtype than f32 throws in the name of the op.
inline const float* floats(std::string_view op, const Tensor& t) {
  if (!t.defined()) return nullptr;
  if (t.dtype() != DType::f32) throw_unsupported(op, t.dtype(), t.device());
  return t.data<float>();
}
inline float* floats(std::string_view op, Tensor& t) {
  return const_cast<float*>(floats(op, static_cast<const Tensor&>(t)));
}

}  // namespace trainer::cpu
