#include "lib/backend/cpu/norm_loops.h"

#include <hwy/cache_control.h>

#include <algorithm>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "lib/backend/cpu/norm_loops.cpp"
#include "lib/backend/cpu/simd.h"
// after simd.h, which decides on the instruction set
#include "lib/backend/cpu/activation-inl.h"

HWY_BEFORE_NAMESPACE();
namespace trainer::cpu::HWY_NAMESPACE {
namespace {

/// Calls f(d, column, rows...) so that four rows at a time go into an accumulator in memory: a quarter of its
/// loads and stores, and shorter chains of rounded sums. `step` is 4 or 1.
template <class F>
HWY_INLINE void for_row_groups(int64_t rows, const F& f) {
  int64_t r = 0;
  for (; r + 4 <= rows; r += 4) f(r, std::integral_constant<int64_t, 4>());
  for (; r < rows; ++r) f(r, std::integral_constant<int64_t, 1>());
}

/// The sum of term(row) for `Group` rows from `row` on.
template <int64_t Group, class Term>
HWY_INLINE auto sum_group(int64_t row, const Term& term) {
  if constexpr (Group == 4) {
    return hn::Add(hn::Add(term(row), term(row + 1)), hn::Add(term(row + 2), term(row + 3)));
  } else {
    return term(row);
  }
}

template <class T>
void sum_rows_of(const T* x, int64_t rows, int64_t columns, float* sums) {
  std::fill_n(sums, columns, 0.0F);
  for_row_groups(rows, [&](int64_t r, auto group) HWY_ATTR {
    for_vectors(0, columns, [&](auto d, int64_t c) HWY_ATTR {
      const auto sum =
          sum_group<group()>(r, [&](int64_t i) HWY_ATTR { return load(d, x + i * columns + c); });
      hn::StoreU(hn::Add(hn::LoadU(d, sums + c), sum), d, sums + c);
    });
  });
}

void sum_rows(const Elements& x, int64_t rows, int64_t columns, float* sums) {
  with_element(x.dtype, [&]<class T>(T) { sum_rows_of(x.as<T>(), rows, columns, sums); });
}

template <class T>
void deviations_of(const T* x, const float* center, int64_t rows, int64_t columns, float* sums,
                   float* squares) {
  std::fill_n(sums, columns, 0.0F);
  std::fill_n(squares, columns, 0.0F);
  for_row_groups(rows, [&](int64_t r, auto group) HWY_ATTR {
    for_vectors(0, columns, [&](auto d, int64_t c) HWY_ATTR {
      const auto middle = hn::LoadU(d, center + c);
      const auto deviation = [&](int64_t i)
                                 HWY_ATTR { return hn::Sub(load(d, x + i * columns + c), middle); };
      const auto square = [&](int64_t i) HWY_ATTR {
        const auto v = deviation(i);
        return hn::Mul(v, v);
      };
      hn::StoreU(hn::Add(hn::LoadU(d, sums + c), sum_group<group()>(r, deviation)), d, sums + c);
      hn::StoreU(hn::Add(hn::LoadU(d, squares + c), sum_group<group()>(r, square)), d, squares + c);
    });
  });
}

void deviations(const Elements& x, const float* center, int64_t rows, int64_t columns, float* sums,
                float* squares) {
  with_element(x.dtype, [&]<class T>(T) { deviations_of(x.as<T>(), center, rows, columns, sums, squares); });
}

template <ops::Activation kActivation, class T>
void gradient_sums_of(const T* dy, const T* x, const T* y, const float* mean, int64_t rows, int64_t columns,
                      float* sums, float* products) {
  std::fill_n(sums, columns, 0.0F);
  std::fill_n(products, columns, 0.0F);
  for_row_groups(rows, [&](int64_t r, auto group) HWY_ATTR {
    for_vectors(0, columns, [&](auto d, int64_t c) HWY_ATTR {
      const auto m = hn::LoadU(d, mean + c);
      const auto term = [&](int64_t i)
                            HWY_ATTR { return activation_gradient<kActivation>(d, dy, y, i * columns + c); };
      const auto product = [&](int64_t i) HWY_ATTR {
        return hn::Mul(term(i), hn::Sub(load(d, x + i * columns + c), m));
      };
      hn::StoreU(hn::Add(hn::LoadU(d, sums + c), sum_group<group()>(r, term)), d, sums + c);
      hn::StoreU(hn::Add(hn::LoadU(d, products + c), sum_group<group()>(r, product)), d, products + c);
    });
  });
}

void gradient_sums(const Elements& dy, const Elements& x, const Elements& y, ops::Activation activation,
                   const float* mean, int64_t rows, int64_t columns, float* sums, float* products) {
  with_element(x.dtype, [&]<class T>(T) {
    ops::visit(activation, [&](auto a) {
      gradient_sums_of<a()>(dy.as<T>(), x.as<T>(), y.as<T>(), mean, rows, columns, sums, products);
    });
  });
}

template <bool kResidual, bool kPast, ops::Activation kActivation, class T>
void normalize_of(const T* x, const T* residual, const NormalizeParameters& p, int64_t rows, int64_t columns,
                  T* y) {
  for (int64_t r = 0; r < rows; ++r, x += columns, y += columns) {
    for_vectors(0, columns, [&](auto d, int64_t c) HWY_ATTR {
      const auto centered = hn::Sub(load(d, x + c), hn::LoadU(d, p.mean + c));
      auto v = hn::MulAdd(centered, hn::LoadU(d, p.scale + c), hn::LoadU(d, p.shift + c));
      if constexpr (kResidual) v = hn::Add(v, load(d, residual + c));
      store_to<kPast>(activate<kActivation>(d, v), d, y + c);
    });
    if constexpr (kResidual) residual += columns;
  }
}

void normalize(const Elements& x, const Elements& residual, ops::Activation activation,
               const NormalizeParameters& p, int64_t rows, int64_t columns, bool past_caches,
               const Elements& y) {
  const auto go = [&](auto past) {
    with_element(x.dtype, [&]<class T>(T) {
      ops::visit(activation, [&](auto a) {
        const auto f = residual ? normalize_of<true, past(), a(), T> : normalize_of<false, past(), a(), T>;
        f(x.as<T>(), residual.as<T>(), p, rows, columns, y.as<T>());
      });
    });
  };
  if (past_caches) {
    go(std::true_type());
    hwy::FlushStream();
  } else {
    go(std::false_type());
  }
}

template <ops::Activation kActivation, bool kInput, bool kResidual, bool kPast, class T>
void normalize_backward_of(const T* dy, const T* x, const T* y, const NormalizeBackwardParameters& p,
                           int64_t rows, int64_t columns, T* dx, T* dresidual) {
  for (int64_t r = 0; r < rows; ++r) {
    for_vectors(0, columns, [&](auto d, int64_t c) HWY_ATTR {
      const int64_t i = r * columns + c;
      const auto g = activation_gradient<kActivation>(d, dy, y, i);
      if constexpr (kResidual) store_to<kPast>(g, d, dresidual + i);
      if constexpr (kInput) {
        const auto centered = hn::Sub(load(d, x + i), hn::LoadU(d, p.mean + c));
        const auto constant = hn::MulAdd(centered, hn::LoadU(d, p.slope + c), hn::LoadU(d, p.offset + c));
        store_to<kPast>(hn::MulAdd(g, hn::LoadU(d, p.scale + c), constant), d, dx + i);
      }
    });
  }
}

void normalize_backward(const Elements& dy, const Elements& x, const Elements& y, ops::Activation activation,
                        const NormalizeBackwardParameters& p, int64_t rows, int64_t columns, bool past_caches,
                        const Elements& dx, const Elements& dresidual) {
  const auto go = [&](auto past) {
    with_element(x.dtype, [&]<class T>(T) {
      ops::visit(activation, [&](auto a) {
        const auto f = !dx         ? normalize_backward_of<a(), false, true, past(), T>
                       : dresidual ? normalize_backward_of<a(), true, true, past(), T>
                                   : normalize_backward_of<a(), true, false, past(), T>;
        f(dy.as<T>(), x.as<T>(), y.as<T>(), p, rows, columns, dx.as<T>(), dresidual.as<T>());
      });
    });
  };
  if (past_caches) {
    go(std::true_type());
    hwy::FlushStream();
  } else {
    go(std::false_type());
  }
}

}  // namespace
}  // namespace trainer::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace trainer::cpu {

HWY_EXPORT(sum_rows);
HWY_EXPORT(deviations);
HWY_EXPORT(gradient_sums);
HWY_EXPORT(normalize);
HWY_EXPORT(normalize_backward);

void sum_rows(const Elements& x, int64_t rows, int64_t columns, float* sums) {
  HWY_DYNAMIC_DISPATCH(sum_rows)(x, rows, columns, sums);
}
void deviations(const Elements& x, const float* center, int64_t rows, int64_t columns, float* sums,
                float* squares) {
  HWY_DYNAMIC_DISPATCH(deviations)(x, center, rows, columns, sums, squares);
}
void gradient_sums(const Elements& dy, const Elements& x, const Elements& y, ops::Activation activation,
                   const float* mean, int64_t rows, int64_t columns, float* sums, float* products) {
  HWY_DYNAMIC_DISPATCH(gradient_sums)(dy, x, y, activation, mean, rows, columns, sums, products);
}
void normalize(const Elements& x, const Elements& residual, ops::Activation activation,
               const NormalizeParameters& p, int64_t rows, int64_t columns, bool past_caches,
               const Elements& y) {
  HWY_DYNAMIC_DISPATCH(normalize)(x, residual, activation, p, rows, columns, past_caches, y);
}
void normalize_backward(const Elements& dy, const Elements& x, const Elements& y, ops::Activation activation,
                        const NormalizeBackwardParameters& p, int64_t rows, int64_t columns, bool past_caches,
                        const Elements& dx, const Elements& dresidual) {
  HWY_DYNAMIC_DISPATCH(normalize_backward)
  (dy, x, y, activation, p, rows, columns, past_caches, dx, dresidual);
}

bool may_go_past_caches(const Elements& matrix, int64_t rows, int64_t columns) {
  static constexpr int64_t least_bytes = 16 << 20, alignment = 64;
  const auto row_bytes = columns * static_cast<int64_t>(size_of(matrix.dtype));
  return rows * row_bytes >= least_bytes && row_bytes % alignment == 0 &&
         reinterpret_cast<uintptr_t>(matrix.data) % alignment == 0;
}

}  // namespace trainer::cpu
#endif
