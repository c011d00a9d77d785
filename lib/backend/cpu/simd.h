// Vector loops with Highway, compiled once per instruction set and chosen at run time. No include guard: a
// file that includes this is compiled several times, and each time these helpers are needed anew. A file goes
//
//   #undef HWY_TARGET_INCLUDE
//   #define HWY_TARGET_INCLUDE "lib/backend/cpu/this_file.cpp"
//   #include "lib/backend/cpu/simd.h"
//   HWY_BEFORE_NAMESPACE();
//   namespace trainer::cpu::HWY_NAMESPACE { ... }   // loops over pointers: no tensors, no threads
//   HWY_AFTER_NAMESPACE();
//   #if HWY_ONCE
//   namespace trainer::cpu { HWY_EXPORT(loop); ... }   // the kernels: unpack tensors, split, dispatch
//   #endif
#ifndef HWY_DISABLED_TARGETS
#define HWY_DISABLED_TARGETS \
  HWY_SSE4  // adds nothing over the baseline for f32 loops, and takes time to compile
#endif
#include <hwy/foreach_target.h>  // must come before highway.h
#include <hwy/highway.h>

#if defined(TRAINER_CPU_SIMD_H) == defined(HWY_TARGET_TOGGLE)
#ifdef TRAINER_CPU_SIMD_H
#undef TRAINER_CPU_SIMD_H
#else
#define TRAINER_CPU_SIMD_H
#endif

#include <array>
#include <cstdint>
#include <type_traits>

#include "lib/tensor/dtype.h"

HWY_BEFORE_NAMESPACE();
namespace trainer::cpu::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using Full = hn::ScalableTag<float>;
using Quarter = hn::CappedTag<float, 4>;
using Single = hn::CappedTag<float, 1>;

/// Calls f(d, i) with i advancing through [begin, end) by the lanes of d: full vectors, then shorter ones for
/// the remainder, so that nothing outside is touched.
template <class F>
HWY_INLINE void for_vectors(int64_t begin, int64_t end, const F& f) {
  const auto go = [&](auto d) HWY_ATTR {
    const auto lanes = static_cast<int64_t>(hn::Lanes(d));
    for (; begin + lanes <= end; begin += lanes) f(d, begin);
  };
  go(Full());
  if (hn::MaxLanes(Full()) > 4) go(Quarter());
  go(Single());
}

/// f32 lanes from memory that holds f32 or bf16. Arithmetic is f32 whatever a tensor is stored in.
template <class D>
HWY_INLINE hn::Vec<D> load(D d, const float* p) {
  return hn::LoadU(d, p);
}
template <class D>
HWY_INLINE hn::Vec<D> load(D d, const bf16* p) {
  const hn::Rebind<hwy::bfloat16_t, D> half;
  return hn::PromoteTo(d, hn::LoadU(half, reinterpret_cast<const hwy::bfloat16_t*>(p)));
}

/// And back; to bf16 rounding to nearest even, as bf16(float) does. (Highway's own conversion truncates.)
template <class D>
HWY_INLINE void store(hn::Vec<D> v, D d, float* p) {
  hn::StoreU(v, d, p);
}
/// The bits of bf16 lanes, in the upper halves of words; the lower halves are not clear.
template <class D>
HWY_INLINE auto round_to_bf16(hn::Vec<D> v, D) {
  const hn::RebindToUnsigned<D> bits;
  const auto u = hn::BitCast(bits, v);
  const auto odd = hn::And(hn::ShiftRight<16>(u), hn::Set(bits, 1));
  const auto rounded = hn::Add(u, hn::Add(odd, hn::Set(bits, 0x7FFF)));
  const auto quiet = hn::Or(u, hn::Set(bits, 0x400000));  // NaN stays NaN
  return hn::IfThenElse(hn::RebindMask(bits, hn::IsNaN(v)), quiet, rounded);
}
/// The same in halves.
template <class D>
HWY_INLINE auto to_bf16(hn::Vec<D> v, D d) {
  const hn::RebindToSigned<D> whole;
  const hn::Rebind<uint16_t, D> half;
  return hn::DemoteTo(half, hn::BitCast(whole, hn::ShiftRight<16>(round_to_bf16(v, d))));
}
template <class D>
HWY_INLINE void store(hn::Vec<D> v, D d, bf16* p) {
  hn::StoreU(to_bf16(v, d), hn::Rebind<uint16_t, D>(), reinterpret_cast<uint16_t*>(p));
}

/// For every i in [begin, end), out[0][i], out[1][i] ... = f(d, vectors of in[i]...), an array of vectors computed by arithmetic
/// alone. Where memory holds bf16 the vectors are of even and of odd elements: to take these apart and put them
/// together again takes half the instructions that vectors of neighbours take.
template <class T, size_t kOutputs, class F, class... In>
HWY_INLINE void map(int64_t begin, int64_t end, const F& f, const std::array<T*, kOutputs>& out,
                    const In*... in) {
  static_assert((std::is_same_v<In, T> && ...));
  if constexpr (std::is_same_v<T, bf16>) {
    const Full d;
    const hn::RebindToUnsigned<Full> words;
    const auto upper = hn::Set(words, 0xFFFF0000U), half = hn::Set(words, 0x7FFF), one = hn::Set(words, 1);
    const auto pairs = [&](const bf16* p) HWY_ATTR {
      return hn::LoadU(words, reinterpret_cast<const uint32_t*>(p + begin));
    };
    // As round_to_bf16(), but for NaN: those of f come from bf16 and have nothing in the bits that are rounded.
    const auto rounded = [&](auto v) HWY_ATTR {
      const auto u = hn::BitCast(words, v);
      return hn::Add(hn::Add(u, half), hn::And(hn::ShiftRight<16>(u), one));
    };
    const auto lanes = static_cast<int64_t>(hn::Lanes(d));
    for (; begin + 2 * lanes <= end; begin += 2 * lanes) {
      const auto even = f(d, hn::BitCast(d, hn::ShiftLeft<16>(pairs(in)))...);
      const auto odd = f(d, hn::BitCast(d, hn::And(pairs(in), upper))...);
      for (size_t o = 0; o < kOutputs; ++o) {
        hn::StoreU(hn::Or(hn::ShiftRight<16>(rounded(even[o])), hn::And(rounded(odd[o]), upper)), words,
                   reinterpret_cast<uint32_t*>(out[o] + begin));
      }
    }
  }
  for_vectors(begin, end, [&](auto d, int64_t i) HWY_ATTR {
    const auto results = f(d, load(d, in + i)...);
    for (size_t o = 0; o < kOutputs; ++o) store(results[o], d, out[o] + i);
  });
}

/// As store(), past the caches if kPast: for what is read again only when they have long forgotten it. p has
/// to be aligned to whole vectors then; hwy::FlushStream() goes before anybody else reads it.
template <bool kPast, class D>
HWY_INLINE void store_to(hn::Vec<D> v, D d, float* p) {
  if constexpr (kPast) {
    hn::Stream(v, d, p);
  } else {
    store(v, d, p);
  }
}
template <bool kPast, class D>
HWY_INLINE void store_to(hn::Vec<D> v, D d, bf16* p) {
  if constexpr (kPast) {
    hn::Stream(to_bf16(v, d), hn::Rebind<uint16_t, D>(), reinterpret_cast<uint16_t*>(p));
  } else {
    store(v, d, p);
  }
}

/// Calls f with a value of the type that `t` stands for, f32 or bf16: what these loops are compiled for.
template <class F>
HWY_INLINE void with_element(DType t, const F& f) {
  if (t == DType::bf16) {
    f(bf16());
  } else {
    f(float());
  }
}

}  // namespace trainer::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif
