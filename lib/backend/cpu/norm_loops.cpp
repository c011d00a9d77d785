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

// Loads and stores of sums in memory would take longer than the sums: some rows at a time go through registers.
// They are more streams than the processor foresees, so each asks for what it comes to later.

/// Has what lies some rows behind p brought into the caches.
template <class T>
HWY_INLINE void ask_ahead(const T* p) {
  static constexpr uintptr_t ahead_bytes = 16 << 10;
  // Into the second level of cache: the first is small for several matrices at this distance.
  __builtin_prefetch(reinterpret_cast<const void*>(reinterpret_cast<uintptr_t>(p) + ahead_bytes), 0, 2);
}
template <class D, class T>
HWY_INLINE hn::Vec<D> load_ahead(D d, const T* p) {
  ask_ahead(p);
  return load(d, p);
}

/// Calls f(d, c, i, n) with vectors of columns c of n() rows, the first at element i of the matrix.
template <int64_t kTogether, class F>
HWY_INLINE void for_rows_together(int64_t rows, int64_t columns, const F& f) {
  int64_t r = 0;
  const auto go = [&](auto n) HWY_ATTR {
    for (; r + n() <= rows; r += n())
      for_vectors(0, columns, [&](auto d, int64_t c) HWY_ATTR { f(d, c, r * columns + c, n); });
  };
  go(std::integral_constant<int64_t, kTogether>());
  go(std::integral_constant<int64_t, 1>());
}

template <class T>
void sum_rows_of(const T* x, int64_t rows, int64_t columns, float* sums) {
  std::fill_n(sums, columns, 0.0F);
  for_rows_together<8>(rows, columns, [&](auto d, int64_t c, int64_t i, auto n) HWY_ATTR {
    auto sum = hn::LoadU(d, sums + c);
    for (int64_t r = 0; r < n(); ++r, i += columns) sum = hn::Add(sum, load_ahead(d, x + i));
    hn::StoreU(sum, d, sums + c);
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
  for_rows_together<8>(rows, columns, [&](auto d, int64_t c, int64_t i, auto n) HWY_ATTR {
    const auto middle = hn::LoadU(d, center + c);
    auto sum = hn::LoadU(d, sums + c), square = hn::LoadU(d, squares + c);
    for (int64_t r = 0; r < n(); ++r, i += columns) {
      const auto v = hn::Sub(load_ahead(d, x + i), middle);
      sum = hn::Add(sum, v);
      square = hn::MulAdd(v, v, square);
    }
    hn::StoreU(sum, d, sums + c);
    hn::StoreU(square, d, squares + c);
  });
}

void deviations(const Elements& x, const float* center, int64_t rows, int64_t columns, float* sums,
                float* squares) {
  with_element(x.dtype, [&]<class T>(T) { deviations_of(x.as<T>(), center, rows, columns, sums, squares); });
}

/// Calls f(d, c) with vectors of doubles that cover [0, columns).
template <class F>
HWY_INLINE void for_doubles(int64_t columns, const F& f) {
  const hn::ScalableTag<double> wide;
  int64_t c = 0;
  for (const auto lanes = static_cast<int64_t>(hn::Lanes(wide)); c + lanes <= columns; c += lanes) f(wide, c);
  for (; c < columns; ++c) f(hn::CappedTag<double, 1>(), c);
}

/// n samples of this mean and these squares join the `count` of `total`; returns the new mean.
template <class D>
HWY_INLINE hn::Vec<D> join(D d, hn::Vec<D> mean, hn::Vec<D> squares, double n, double count,
                           double* total_mean, double* total_squares) {
  const double share = n / (n + count);
  const auto before = hn::LoadU(d, total_mean), delta = hn::Sub(mean, before);
  const auto after = hn::MulAdd(delta, hn::Set(d, share), before);
  const auto sum = hn::Add(hn::LoadU(d, total_squares), squares);
  hn::StoreU(after, d, total_mean);
  hn::StoreU(hn::MulAdd(hn::Mul(delta, delta), hn::Set(d, share * count), sum), d, total_squares);
  return after;
}

void join_deviations(const float* sums, const float* squares, double n, double count, int64_t columns,
                     float* center, const Samples& total) {
  const double inverse = 1 / n;
  for_doubles(columns, [&](auto d, int64_t c) HWY_ATTR {
    const hn::Rebind<float, decltype(d)> narrow;
    const auto wide = [&](const float* p) HWY_ATTR { return hn::PromoteTo(d, hn::LoadU(narrow, p + c)); };
    const auto sum = wide(sums), offset = hn::Mul(sum, hn::Set(d, inverse));
    const auto after = join(d, hn::Add(wide(center), offset), hn::NegMulAdd(sum, offset, wide(squares)), n,
                            count, total.mean + c, total.squares + c);
    hn::StoreU(hn::DemoteTo(narrow, after), narrow, center + c);
  });
}

void join_samples(const Samples& some, double n, double count, int64_t columns, const Samples& total) {
  for_doubles(columns, [&](auto d, int64_t c) HWY_ATTR {
    join(d, hn::LoadU(d, some.mean + c), hn::LoadU(d, some.squares + c), n, count, total.mean + c,
         total.squares + c);
  });
}

void add_floats(const float* x, int64_t n, double* sums) {
  for_doubles(n, [&](auto d, int64_t i) HWY_ATTR {
    const hn::Rebind<float, decltype(d)> narrow;
    hn::StoreU(hn::Add(hn::LoadU(d, sums + i), hn::PromoteTo(d, hn::LoadU(narrow, x + i))), d, sums + i);
  });
}

template <ops::Activation kActivation, class T>
void gradient_sums_of(const T* dy, const T* x, const T* y, const float* mean, int64_t rows, int64_t columns,
                      float* sums, float* products) {
  std::fill_n(sums, columns, 0.0F);
  std::fill_n(products, columns, 0.0F);
  for_rows_together<4>(rows, columns, [&](auto d, int64_t c, int64_t i, auto n) HWY_ATTR {
    const auto middle = hn::LoadU(d, mean + c);
    auto sum = hn::LoadU(d, sums + c), product = hn::LoadU(d, products + c);
    for (int64_t r = 0; r < n(); ++r, i += columns) {
      ask_ahead(dy + i);
      ask_ahead(x + i);
      if constexpr (kActivation != ops::Activation::none) ask_ahead(y + i);
      const auto g = activation_gradient<kActivation>(d, dy, y, i);
      sum = hn::Add(sum, g);
      product = hn::MulAdd(g, hn::Sub(load(d, x + i), middle), product);
    }
    hn::StoreU(sum, d, sums + c);
    hn::StoreU(product, d, products + c);
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
HWY_EXPORT(join_deviations);
HWY_EXPORT(join_samples);
HWY_EXPORT(add_floats);
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
void join_deviations(const float* sums, const float* squares, double n, double count, int64_t columns,
                     float* center, const Samples& total) {
  HWY_DYNAMIC_DISPATCH(join_deviations)(sums, squares, n, count, columns, center, total);
}
void join_samples(const Samples& some, double n, double count, int64_t columns, const Samples& total) {
  HWY_DYNAMIC_DISPATCH(join_samples)(some, n, count, columns, total);
}
void add_floats(const float* x, int64_t n, double* sums) { HWY_DYNAMIC_DISPATCH(add_floats)(x, n, sums); }
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
