#include "lib/backend/cpu/attention_loops.h"

#include <algorithm>
#include <cmath>
#include <limits>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "lib/backend/cpu/attention_loops.cpp"
#include "lib/backend/cpu/simd.h"
// after simd.h, which decides on the instruction set
#include "lib/backend/cpu/exp-inl.h"

HWY_BEFORE_NAMESPACE();
namespace trainer::cpu::HWY_NAMESPACE {
namespace {

/// Rows of scores are padded to whole vectors of this type, so loops over them have no remainder.
using Padded = hn::CappedTag<float, 16>;

template <class F>
HWY_INLINE void for_padded(int64_t stride, const F& f) {
  const Padded d;
  for (int64_t i = 0; i < stride; i += static_cast<int64_t>(hn::Lanes(d))) f(d, i);
}

void add_terms(float* s, int64_t rows, int64_t length, int64_t stride, float scale, const float* bias,
               const float* mask) {
  for (int64_t r = 0; r < rows; ++r, s += stride) {
    for_vectors(0, length, [&](auto d, int64_t i) HWY_ATTR {
      auto v = hn::Mul(hn::LoadU(d, s + i), hn::Set(d, scale));
      if (bias != nullptr) v = hn::Add(v, hn::LoadU(d, bias + r * length + i));
      if (mask != nullptr) v = hn::Add(v, hn::LoadU(d, mask + r * length + i));
      hn::StoreU(v, d, s + i);
    });
  }
}

/// Scores from i on; beyond the row's end -inf. (Storing that into the padding first would make the load wait for
/// the stores.)
template <class D>
HWY_INLINE hn::Vec<D> load_scores(D d, const float* s, int64_t i, int64_t length) {
  const auto v = hn::LoadU(d, s + i);
  if (i + static_cast<int64_t>(hn::Lanes(d)) <= length) return v;
  const auto inside = hn::FirstN(d, static_cast<size_t>(std::max<int64_t>(0, length - i)));
  return hn::IfThenElse(inside, v, hn::Set(d, -std::numeric_limits<float>::infinity()));
}

// Exponents are taken to base 2: scores are multiplied by log2(e) together with their scale.
constexpr float kLog2E = 1.44269504F, kLn2 = 0.693147181F;

void softmax(float* s, int64_t rows, int64_t length, int64_t stride, float scale, float* factors,
             float* lse) {
  const Padded d;
  const auto log2_scale = hn::Set(d, scale * kLog2E);
  for (int64_t r = 0; r < rows; ++r, s += stride) {
    auto top = load_scores(d, s, 0, length);
    for_padded(stride, [&](auto, int64_t i) HWY_ATTR { top = hn::Max(top, load_scores(d, s, i, length)); });
    const auto largest = hn::Mul(hn::MaxOfLanes(d, top), log2_scale);
    auto sums = hn::Zero(d);
    for_padded(stride, [&](auto, int64_t i) HWY_ATTR {
      const auto e = exp2(d, hn::MulSub(load_scores(d, s, i, length), log2_scale, largest));
      hn::StoreU(e, d, s + i);
      sums = hn::Add(sums, e);
    });
    const float sum = hn::GetLane(hn::SumOfLanes(d, sums));
    factors[r] = 1.0F / sum;
    lse[r] = hn::GetLane(largest) * kLn2 + std::log(sum);
  }
}

void probabilities(float* s, int64_t rows, int64_t length, int64_t stride, float scale, const float* lse) {
  const Padded d;
  const auto log2_scale = hn::Set(d, scale * kLog2E);
  for (int64_t r = 0; r < rows; ++r, s += stride) {
    const auto log2_sum = hn::Set(d, lse[r] * kLog2E);
    for_padded(stride, [&](auto, int64_t i) HWY_ATTR {
      hn::StoreU(exp2(d, hn::MulSub(load_scores(d, s, i, length), log2_scale, log2_sum)), d, s + i);
    });
  }
}

template <class T>
HWY_INLINE float dot(const T* a, const T* b, int64_t n) {
  const Full full;
  const auto lanes = static_cast<int64_t>(hn::Lanes(full));
  auto sums = hn::Zero(full);
  int64_t i = 0;
  for (; i + lanes <= n; i += lanes) sums = hn::MulAdd(load(full, a + i), load(full, b + i), sums);
  float sum = hn::GetLane(hn::SumOfLanes(full, sums));
  for_vectors(i, n, [&](auto d, int64_t e) HWY_ATTR {
    sum += hn::GetLane(hn::SumOfLanes(d, hn::Mul(load(d, a + e), load(d, b + e))));
  });
  return sum;
}

template <class T>
void row_dots_of(const ElementRows& x, const ElementRows& y, int64_t rows, float* dots) {
  for (int64_t r = 0; r < rows; ++r)
    dots[r] = dot(x.at.as<const T>() + r * x.stride, y.at.as<const T>() + r * y.stride, x.width);
}

void row_dots(const ElementRows& x, const ElementRows& y, int64_t rows, float* dots) {
  with_element(x.at.dtype, [&]<class T>(T) HWY_ATTR { row_dots_of<T>(x, y, rows, dots); });
}

void score_gradients(const float* p, float* dp, const float* deltas, int64_t rows, int64_t length,
                     int64_t stride, float scale, float* dbias) {
  for (int64_t r = 0; r < rows; ++r, p += stride, dp += stride) {
    const auto gradient = [&](auto d, int64_t i) HWY_ATTR {
      return hn::Mul(hn::LoadU(d, p + i), hn::Sub(hn::LoadU(d, dp + i), hn::Set(d, deltas[r])));
    };
    if (dbias != nullptr) {
      float* row = dbias + r * length;
      for_vectors(0, length, [&](auto d, int64_t i) HWY_ATTR {
        hn::StoreU(hn::Add(hn::LoadU(d, row + i), gradient(d, i)), d, row + i);
      });
    }
    for_padded(stride, [&](auto d, int64_t i)
                           HWY_ATTR { hn::StoreU(hn::Mul(gradient(d, i), hn::Set(d, scale)), d, dp + i); });
  }
}

}  // namespace
}  // namespace trainer::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace trainer::cpu {

HWY_EXPORT(add_terms);
HWY_EXPORT(softmax);
HWY_EXPORT(probabilities);
HWY_EXPORT(row_dots);
HWY_EXPORT(score_gradients);

void add_terms(float* s, int64_t rows, int64_t length, int64_t stride, float scale, const float* bias,
               const float* mask) {
  HWY_DYNAMIC_DISPATCH(add_terms)(s, rows, length, stride, scale, bias, mask);
}
void softmax(float* s, int64_t rows, int64_t length, int64_t stride, float scale, float* factors,
             float* lse) {
  HWY_DYNAMIC_DISPATCH(softmax)(s, rows, length, stride, scale, factors, lse);
}
void probabilities(float* s, int64_t rows, int64_t length, int64_t stride, float scale, const float* lse) {
  HWY_DYNAMIC_DISPATCH(probabilities)(s, rows, length, stride, scale, lse);
}
void row_dots(const ElementRows& x, const ElementRows& y, int64_t rows, float* dots) {
  HWY_DYNAMIC_DISPATCH(row_dots)(x, y, rows, dots);
}
void score_gradients(const float* p, float* dp, const float* deltas, int64_t rows, int64_t length,
                     int64_t stride, float scale, float* dbias) {
  HWY_DYNAMIC_DISPATCH(score_gradients)(p, dp, deltas, rows, length, stride, scale, dbias);
}

}  // namespace trainer::cpu
#endif
