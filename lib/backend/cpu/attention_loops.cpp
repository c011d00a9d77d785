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

template <class T>
void softmax_rows(float* s, int64_t length, int64_t stride, float scale, T* p, float* factors, float* lse) {
  const Padded d;
  for (int64_t r = 0; r < length; ++r, s += stride, p += stride) {
    auto top = load_scores(d, s, 0, length);
    for_padded(stride, [&](auto, int64_t i) HWY_ATTR { top = hn::Max(top, load_scores(d, s, i, length)); });
    const float largest = scale * hn::GetLane(hn::MaxOfLanes(d, top));
    auto sums = hn::Zero(d);
    for_padded(stride, [&](auto, int64_t i) HWY_ATTR {
      const auto v = load_scores(d, s, i, length);
      const auto e = exp(d, hn::MulSub(v, hn::Set(d, scale), hn::Set(d, largest)));
      store(e, d, p + i);
      sums = hn::Add(sums, e);
    });
    const float sum = hn::GetLane(hn::SumOfLanes(d, sums));
    factors[r] = 1.0F / sum;
    lse[r] = largest + std::log(sum);
  }
}

void softmax(float* s, int64_t length, int64_t stride, float scale, const Elements& p, float* factors,
             float* lse) {
  with_element(p.dtype,
               [&]<class T>(T) HWY_ATTR { softmax_rows(s, length, stride, scale, p.as<T>(), factors, lse); });
}

/// Rows of a result that is computed by f(d, row, i), two at a time.
template <class T, class F>
HWY_INLINE void write_operand(int64_t length, int64_t stride, const Operand& to, const F& f) {
  for (int64_t r = 0; r < length; r += 2) {
    T* row = to.rows ? to.rows.as<T>() + r * stride : nullptr;
    const bool two = r + 1 < length;
    for_padded(stride, [&](auto d, int64_t i) HWY_ATTR {
      const auto first = f(d, r, i), second = two ? f(d, r + 1, i) : hn::Zero(d);
      if (row != nullptr) {
        store(first, d, row + i);
        if (two) store(second, d, row + stride + i);
      }
      if (to.row_pairs != nullptr) store_pairs(first, second, d, to.row_pairs + r / 2 * stride + i);
    });
  }
}

void probabilities(float* s, int64_t length, int64_t stride, float scale, const float* lse,
                   const Operand& p) {
  with_element(p.rows.dtype, [&]<class T>(T) HWY_ATTR {
    write_operand<T>(length, stride, p, [&](auto d, int64_t r, int64_t i) HWY_ATTR {
      const auto v = load_scores(d, s + r * stride, i, length);
      const auto e = exp(d, hn::MulSub(v, hn::Set(d, scale), hn::Set(d, lse[r])));
      hn::StoreU(e, d, s + r * stride + i);
      return e;
    });
  });
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

void score_gradients(const float* p, const float* dp, const float* deltas, int64_t length, int64_t stride,
                     float scale, const Operand& ds, float* dbias) {
  const auto gradient = [&](auto d, int64_t r, int64_t i) HWY_ATTR {
    const int64_t at = r * stride + i;
    return hn::Mul(hn::LoadU(d, p + at), hn::Sub(hn::LoadU(d, dp + at), hn::Set(d, deltas[r])));
  };
  for (int64_t r = 0; dbias != nullptr && r < length; ++r) {
    float* row = dbias + r * length;
    for_vectors(0, length, [&](auto d, int64_t i) HWY_ATTR {
      hn::StoreU(hn::Add(hn::LoadU(d, row + i), gradient(d, r, i)), d, row + i);
    });
  }
  with_element(ds.rows.dtype, [&]<class T>(T) HWY_ATTR {
    write_operand<T>(length, stride, ds, [&](auto d, int64_t r, int64_t i) HWY_ATTR {
      return hn::Mul(gradient(d, r, i), hn::Set(d, scale));
    });
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
HWY_EXPORT(row_dots);
HWY_EXPORT(score_gradients);

void add_terms(float* s, int64_t length, int64_t stride, float scale, const float* bias, const float* mask) {
  HWY_DYNAMIC_DISPATCH(add_terms)(s, length, stride, scale, bias, mask);
}
void softmax(float* s, int64_t length, int64_t stride, float scale, const Elements& p, float* factors,
             float* lse) {
  HWY_DYNAMIC_DISPATCH(softmax)(s, length, stride, scale, p, factors, lse);
}
void probabilities(float* s, int64_t length, int64_t stride, float scale, const float* lse,
                   const Operand& p) {
  HWY_DYNAMIC_DISPATCH(probabilities)(s, length, stride, scale, lse, p);
}
void row_dots(const ElementRows& x, const ElementRows& y, int64_t rows, float* dots) {
  HWY_DYNAMIC_DISPATCH(row_dots)(x, y, rows, dots);
}
void score_gradients(const float* p, const float* dp, const float* deltas, int64_t length, int64_t stride,
                     float scale, const Operand& ds, float* dbias) {
  HWY_DYNAMIC_DISPATCH(score_gradients)(p, dp, deltas, length, stride, scale, ds, dbias);
}

}  // namespace trainer::cpu
#endif
