#include "lib/tensor/dtype.h"

#include <cmath>

namespace trainer {

bf16::bf16(float f) {
  const auto u = std::bit_cast<uint32_t>(f);
  if ((u & 0x7FFFFFFFU) > 0x7F800000U) {
    bits = static_cast<uint16_t>(u >> 16 | 0x40U);  // NaN stays NaN, quiet
  } else {
    bits = static_cast<uint16_t>((u + 0x7FFFU + (u >> 16 & 1U)) >> 16);
  }
}

f16::f16(float f) {
  const auto u = std::bit_cast<uint32_t>(f);
  const auto sign = static_cast<uint16_t>(u >> 16 & 0x8000U);
  const uint32_t magnitude = u & 0x7FFFFFFFU;
  if (magnitude > 0x7F800000U) {
    bits = sign | 0x7E00U;
  } else if (magnitude >= 0x477FF000U) {  // 65520 and more round to infinity
    bits = sign | 0x7C00U;
  } else if (magnitude < 0x38800000U) {  // subnormal: adding 0.5 aligns the mantissa and rounds
    const float aligned = std::bit_cast<float>(magnitude) + 0.5F;
    bits = static_cast<uint16_t>(sign | (std::bit_cast<uint32_t>(aligned) - 0x3F000000U));
  } else {
    const uint32_t rounded =
        magnitude + 0xC8000FFFU + (magnitude >> 13 & 1U);  // rebias the exponent by 15 - 127
    bits = static_cast<uint16_t>(sign | rounded >> 13);
  }
}

f16::operator float() const {
  const uint32_t sign = uint32_t{bits & 0x8000U} << 16;
  const uint32_t magnitude = bits & 0x7FFFU;
  if (magnitude >= 0x7C00U) return std::bit_cast<float>(sign | 0x7F800000U | (magnitude & 0x3FFU) << 13);
  if (magnitude < 0x400U) {
    const float value = static_cast<float>(magnitude) * 0x1.0p-24F;
    return sign != 0 ? -value : value;
  }
  return std::bit_cast<float>(sign | (magnitude + 0x1C000U) << 13);
}

std::string_view name_of(DType t) {
  switch (t) {
    case DType::f32:
      return "f32";
    case DType::f64:
      return "f64";
    case DType::f16:
      return "f16";
    case DType::bf16:
      return "bf16";
    case DType::i32:
      return "i32";
    case DType::i64:
      return "i64";
    case DType::u8:
      return "u8";
  }
  return "?";
}

DType parse_dtype(std::string_view s) {
  if (s == "f32" || s == "float32" || s == "float" || s == "fp32") return DType::f32;
  if (s == "f64" || s == "float64" || s == "double") return DType::f64;
  if (s == "f16" || s == "float16" || s == "half" || s == "fp16") return DType::f16;
  if (s == "bf16" || s == "bfloat16") return DType::bf16;
  if (s == "i32" || s == "int32") return DType::i32;
  if (s == "i64" || s == "int64") return DType::i64;
  if (s == "u8" || s == "uint8") return DType::u8;
  fail(Exit::usage, "unknown dtype '{}' (known: f32, f64, f16, bf16, i32, i64, u8)", s);
}

}  // namespace trainer
