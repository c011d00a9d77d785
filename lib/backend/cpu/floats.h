// Access to a tensor's elements for kernels that take f32 alone, or f32 and bf16.
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

/// Elements of a tensor that is f32 or bf16, for loops that are compiled for both (with_element in simd.h).
/// Null data if there is no tensor; another dtype throws in the name of the op.
struct Elements {
  Elements(std::string_view op, const Tensor& t) {
    if (!t.defined()) return;
    if (t.dtype() != DType::f32 && t.dtype() != DType::bf16) throw_unsupported(op, t.dtype(), t.device());
    dtype = t.dtype();
    data = const_cast<std::byte*>(t.raw());
  }
  explicit Elements(const float* floats) : data(const_cast<float*>(floats)) {}

  explicit operator bool() const { return data != nullptr; }
  /// From element i on; null stays null.
  Elements from(int64_t i) const {
    Elements e = *this;
    if (data != nullptr) e.data = static_cast<std::byte*>(data) + i * static_cast<int64_t>(size_of(dtype));
    return e;
  }
  template <class T>
  T* as() const {
    return static_cast<T*>(data);
  }

  void* data = nullptr;
  DType dtype = DType::f32;
};

}  // namespace trainer::cpu
