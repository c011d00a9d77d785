#include "lib/backend/cpu/attention_loops.h"

#include <algorithm>
#include <cmath>
#include <limits>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "lib/backend/cpu/attention_loops.cpp"
#include "lib/backend/cpu/simd.h"
// after simd.h, which decides on the instruction set
#include <hwy/contrib/math/math-inl.h>

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

/// s = scale s + bias + mask; bias and mask [length, length], or null.
void add_terms(float* s, int64_t length, int64_t stride, float scale, const float* bias, const float* mask) {
  for (int64_t r = 0; r < length; ++r, s += stride) {
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

/// Probabilities of the scores scale s, and the logarithm of each row's sum; p may be s.
template <class T>
void softmax_rows(float* s, int64_t length, int64_t stride, float scale, T* p, float* lse) {
  const Padded d;
  for (int64_t r = 0; r < length; ++r, s += stride, p += stride) {
    auto top = load_scores(d, s, 0, length);
    for_padded(stride, [&](auto, int64_t i) HWY_ATTR { top = hn::Max(top, load_scores(d, s, i, length)); });
    const float largest = scale * hn::GetLane(hn::MaxOfLanes(d, top));
    auto sums = hn::Zero(d);
    for_padded(stride, [&](auto, int64_t i) HWY_ATTR {
      const auto v = load_scores(d, s, i, length);
      const auto e = hn::Exp(d, hn::MulSub(v, hn::Set(d, scale), hn::Set(d, largest)));
      hn::StoreU(e, d, s + i);
      sums = hn::Add(sums, e);
    });
    const float sum = hn::GetLane(hn::SumOfLanes(d, sums));
    for_padded(stride, [&](auto, int64_t i) HWY_ATTR {
      store(hn::Mul(hn::LoadU(d, s + i), hn::Set(d, 1.0F / sum)), d, p + i);
    });
    lse[r] = largest + std::log(sum);
  }
}

void softmax(float* s, int64_t length, int64_t stride, float scale, const Elements& p, float* lse) {
  with_element(p.dtype, [&]<class T>(T) HWY_ATTR { softmax_rows(s, length, stride, scale, p.as<T>(), lse); });
}

/// The same probabilities again: s = exp(scale s - lse), and p a copy of it.
template <class T>
void probabilities_of(float* s, int64_t length, int64_t stride, float scale, const float* lse, T* p) {
  for (int64_t r = 0; r < length; ++r, s += stride, p += stride) {
    for_padded(stride, [&](auto d, int64_t i) HWY_ATTR {
      const auto e = hn::Exp(d, hn::MulSub(hn::LoadU(d, s + i), hn::Set(d, scale), hn::Set(d, lse[r])));
      hn::StoreU(e, d, s + i);
      if constexpr (!std::is_same_v<T, float>) store(e, d, p + i);
    });
  }
}

void probabilities(float* s, int64_t length, int64_t stride, float scale, const float* lse,
                   const Elements& p) {
  with_element(p.dtype,
               [&]<class T>(T) HWY_ATTR { probabilities_of(s, length, stride, scale, lse, p.as<T>()); });
}

/// dS = p (dP - dy . y), a row of dy and y [width] for each row of scores: added to dbias [length, length] if
/// there is one, and scale dS to ds, which may be dp.
template <class T>
void score_gradients_of(const float* p, const float* dp, const T* dy, const T* y, int64_t y_stride,
                        int64_t width, int64_t length, int64_t stride, float scale, T* ds, float* dbias) {
  for (int64_t r = 0; r < length; ++r, p += stride, dp += stride, ds += stride) {
    float delta = 0;
    for_vectors(0, width, [&](auto d, int64_t i) HWY_ATTR {
      const int64_t at = r * y_stride + i;
      delta += hn::GetLane(hn::SumOfLanes(d, hn::Mul(load(d, dy + at), load(d, y + at))));
    });
    const auto gradient = [&](auto d, int64_t i) HWY_ATTR {
      return hn::Mul(hn::LoadU(d, p + i), hn::Sub(hn::LoadU(d, dp + i), hn::Set(d, delta)));
    };
    if (dbias != nullptr) {
      float* row = dbias + r * length;
      for_vectors(0, length, [&](auto d, int64_t i) HWY_ATTR {
        hn::StoreU(hn::Add(hn::LoadU(d, row + i), gradient(d, i)), d, row + i);
      });
    }
    for_padded(stride, [&](auto d, int64_t i)
                           HWY_ATTR { store(hn::Mul(gradient(d, i), hn::Set(d, scale)), d, ds + i); });
  }
}

void score_gradients(const float* p, const float* dp, const Elements& dy, const Elements& y, int64_t y_stride,
                     int64_t width, int64_t length, int64_t stride, float scale, const Elements& ds,
                     float* dbias) {
  with_element(ds.dtype, [&]<class T>(T) HWY_ATTR {
    score_gradients_of(p, dp, dy.as<const T>(), y.as<const T>(), y_stride, width, length, stride, scale,
                       ds.as<T>(), dbias);
  });
}

}  // namespace
}  // namespace trainer::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace trainer::cpu {

HWY_EXPORT(add_terms);
HWY_EXPORT(softmax);
HWY_EXPORT(probabilities);
HWY_EXPORT(score_gradients);

void add_terms(float* s, int64_t length, int64_t stride, float scale, const float* bias, const float* mask) {
  HWY_DYNAMIC_DISPATCH(add_terms)(s, length, stride, scale, bias, mask);
}
void softmax(float* s, int64_t length, int64_t stride, float scale, const Elements& p, float* lse) {
  HWY_DYNAMIC_DISPATCH(softmax)(s, length, stride, scale, p, lse);
}
void probabilities(float* s, int64_t length, int64_t stride, float scale, const float* lse,
                   const Elements& p) {
  HWY_DYNAMIC_DISPATCH(probabilities)(s, length, stride, scale, lse, p);
}
void score_gradients(const float* p, const float* dp, const Elements& dy, const Elements& y, int64_t y_stride,
                     int64_t width, int64_t length, int64_t stride, float scale, const Elements& ds,
                     float* dbias) {
  HWY_DYNAMIC_DISPATCH(score_gradients)
  (p, dp, dy, y, y_stride, width, length, stride, scale, ds, dbias);
}

}  // namespace trainer::cpu
#endif
