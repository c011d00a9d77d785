// Element types of tensors, and the two 16-bit floats as C++ types. f16 and bf16 only store: arithmetic on
// them is done in f32.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <type_traits>

#include "lib/base/error.h"

namespace trainer {

enum class DType : uint8_t { f32, f64, f16, bf16, i32, i64, u8 };

/// bfloat16: the upper half of an f32, rounded to nearest even.
struct bf16 {
  uint16_t bits = 0;
  bf16() = default;
  explicit bf16(float f);
  explicit operator float() const { return std::bit_cast<float>(uint32_t{bits} << 16); }
};

/// IEEE 754 binary16, rounded to nearest even.
struct f16 {
  uint16_t bits = 0;
  f16() = default;
  explicit f16(float f);
  explicit operator float() const;
};

/// Bytes of one element.
constexpr size_t size_of(DType t) {
  switch (t) {
    case DType::f64:
    case DType::i64:
      return 8;
    case DType::f32:
    case DType::i32:
      return 4;
    case DType::f16:
    case DType::bf16:
      return 2;
    case DType::u8:
      return 1;
  }
  return 0;
}
constexpr bool is_floating(DType t) { return t <= DType::bf16; }

/// "f32", as in configuration keys and messages.
std::string_view name_of(DType);
/// Accepts those names and PyTorch's (float32, bfloat16, half ...). Throws Error(Exit::usage).
DType parse_dtype(std::string_view);

namespace detail {
template <class T>
consteval DType dtype_of() {
  if (std::is_same_v<T, float>) return DType::f32;
  if (std::is_same_v<T, double>) return DType::f64;
  if (std::is_same_v<T, f16>) return DType::f16;
  if (std::is_same_v<T, bf16>) return DType::bf16;
  if (std::is_same_v<T, int32_t>) return DType::i32;
  if (std::is_same_v<T, int64_t>) return DType::i64;
  if (std::is_same_v<T, uint8_t>) return DType::u8;
  throw "no dtype has this element type";  // a compile error
}
}  // namespace detail

/// dtype_of<float> is DType::f32.
template <class T>
inline constexpr DType dtype_of = detail::dtype_of<T>();

/// Calls f with a zero of the C++ type that `t` stands for: visit_dtype(t, [&]<class T>(T) { ... }).
template <class F>
decltype(auto) visit_dtype(DType t, F&& f) {
  switch (t) {
    case DType::f32:
      return f(float{});
    case DType::f64:
      return f(double{});
    case DType::f16:
      return f(f16{});
    case DType::bf16:
      return f(bf16{});
    case DType::i32:
      return f(int32_t{});
    case DType::i64:
      return f(int64_t{});
    case DType::u8:
      break;
  }
  return f(uint8_t{});
}

}  // namespace trainer
