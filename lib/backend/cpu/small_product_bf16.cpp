// Products of pairs of bf16. Highway has no operation for the instruction, so this one loop is written for it.
#include <utility>

#include <hwy/base.h>

#include "lib/backend/cpu/onednn.h"
#include "lib/backend/cpu/small_product.h"
#include "lib/base/error.h"

#ifdef __x86_64__
#include <immintrin.h>

HWY_PUSH_ATTRIBUTES("avx512f,avx512bf16")
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
  static HWY_INLINE void store(__m512 sums, float* p) { _mm512_storeu_ps(p, sums); }
};
#include "lib/backend/cpu/small_product-inl.h"

}  // namespace
}  // namespace trainer::cpu::avx512_bf16
HWY_POP_ATTRIBUTES

namespace trainer::cpu {

bool has_bf16_products() { return has_bf16(); }
void multiply(const SmallProduct& p, const Bf16Pair* a, const Bf16Pair* b, float* y) {
  avx512_bf16::multiply(p, a, b, y);
}

}  // namespace trainer::cpu
#else
namespace trainer::cpu {

bool has_bf16_products() { return false; }
void multiply(const SmallProduct&, const Bf16Pair*, const Bf16Pair*, float*) {
  fail("this processor has no bf16 products");
}

}  // namespace trainer::cpu
#endif
