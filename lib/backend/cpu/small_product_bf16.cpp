// Products of pairs of bf16. Highway has no operation for the instruction, so this one loop is written for it.
#include <utility>

#include <hwy/base.h>

#include "lib/backend/cpu/onednn.h"
#include "lib/backend/cpu/small_product.h"
#include "lib/base/error.h"

#ifdef __x86_64__
#include <immintrin.h>

HWY_PUSH_ATTRIBUTES("avx512f,avx512bw,avx512vl,avx512bf16")
namespace trainer::cpu::avx512_bf16 {
namespace {

struct Arithmetic {
  using Word = Bf16Pair;
  static constexpr int kRows = 12, kLanes = 16;
  static HWY_INLINE __m512 zero() { return _mm512_setzero_ps(); }
  static HWY_INLINE __m512i load(const Bf16Pair* p) { return _mm512_loadu_si512(p); }
  static HWY_INLINE __m512i broadcast(const Bf16Pair* p) { return _mm512_set1_epi32(static_cast<int>(*p)); }
  static HWY_INLINE __m512 add(__m512 sums, __m512i factor, __m512i row) {
    return _mm512_dpbf16_ps(sums, reinterpret_cast<__m512bh>(factor), reinterpret_cast<__m512bh>(row));
  }
  static HWY_INLINE __m512 scale(__m512 sums, float factor) {
    return _mm512_mul_ps(sums, _mm512_set1_ps(factor));
  }
  static HWY_INLINE __m256i round(__m512 v) { return reinterpret_cast<__m256i>(_mm512_cvtneps_pbh(v)); }
  static HWY_INLINE void store(__m512 sums, float* p) { _mm512_storeu_ps(p, sums); }
  static HWY_INLINE void store(__m512 sums, bf16* p) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), round(sums));
  }
  static HWY_INLINE void store_some(__m512 sums, bf16* p, int64_t n) {
    _mm256_mask_storeu_epi16(p, static_cast<__mmask16>((1U << n) - 1), round(sums));
  }
};
#include "lib/backend/cpu/small_product-inl.h"

void multiply(const SmallProduct& p, const Bf16Pair* a, const Bf16Pair* b, const ElementRows& y,
              const float* factors) {
  multiply_to(p, a, b, ToRows<bf16>{y.at.as<bf16>(), y.stride, y.width, factors});
}

void round_rows(const float* x, int64_t stride, int64_t rows, bf16* y, Bf16Pair* paired) {
  // GCC 12 warns of the operand that is nobody's in the forms without a mask.
  constexpr __mmask16 all = 0xFFFF;
  for (int64_t r = 0; r < rows; r += 2) {
    const float* row = x + r * stride;
    for (int64_t i = 0; i < stride; i += Arithmetic::kLanes) {
      const __m256i first = Arithmetic::round(_mm512_loadu_ps(row + i));
      const __m256i second =
          r + 1 < rows ? Arithmetic::round(_mm512_loadu_ps(row + stride + i)) : _mm256_setzero_si256();
      if (y != nullptr) {
        bf16* to = y + r * stride + i;
        _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), first);
        if (r + 1 < rows) _mm256_storeu_si256(reinterpret_cast<__m256i*>(to + stride), second);
      }
      if (paired != nullptr) {
        const __m512i low = _mm512_maskz_cvtepu16_epi32(all, first),
                      high = _mm512_maskz_cvtepu16_epi32(all, second),
                      both = _mm512_or_si512(low, _mm512_maskz_slli_epi32(all, high, 16));
        _mm512_storeu_si512(paired + r / 2 * stride + i, both);
      }
    }
  }
}

}  // namespace
}  // namespace trainer::cpu::avx512_bf16
HWY_POP_ATTRIBUTES

namespace trainer::cpu {

bool has_bf16_products() { return has_bf16(); }
void multiply(const SmallProduct& p, const Bf16Pair* a, const Bf16Pair* b, float* y, int64_t y_stride) {
  avx512_bf16::multiply(p, a, b, y, y_stride);
}
void multiply(const SmallProduct& p, const Bf16Pair* a, const Bf16Pair* b, const ElementRows& y,
              const float* factors) {
  check(y.at.dtype == DType::bf16 && y.width == p.columns, "a product of pairs goes to rows of bf16");
  avx512_bf16::multiply(p, a, b, y, factors);
}
void round_rows(const float* x, int64_t stride, int64_t rows, bf16* y, Bf16Pair* paired) {
  avx512_bf16::round_rows(x, stride, rows, y, paired);
}

}  // namespace trainer::cpu
#else
namespace trainer::cpu {
namespace {
[[noreturn]] void none() { fail("this processor has no bf16 products"); }
}  // namespace

bool has_bf16_products() { return false; }
void multiply(const SmallProduct&, const Bf16Pair*, const Bf16Pair*, float*, int64_t) { none(); }
void multiply(const SmallProduct&, const Bf16Pair*, const Bf16Pair*, const ElementRows&, const float*) {
  none();
}
void round_rows(const float*, int64_t, int64_t, bf16*, Bf16Pair*) { none(); }

}  // namespace trainer::cpu
#endif
