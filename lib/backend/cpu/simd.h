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
//   namespace trainer::cpu { HWY_EXPORT(loop); ... }   // the kernels: unpack tensors, split the work,
//   dispatch #endif
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

#include <cstdint>
#include <type_traits>

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

}  // namespace trainer::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif
