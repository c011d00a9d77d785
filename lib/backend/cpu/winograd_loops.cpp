// Loops of Winograd's convolution, for every instruction set.
#include "lib/backend/cpu/winograd_loops.h"

#include <hwy/cache_control.h>
#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "lib/backend/cpu/winograd_loops.cpp"
// Arrays of vectors need vectors of a known size. (SSE4: see simd.h.)
#define HWY_DISABLED_TARGETS (HWY_SSE4 | HWY_SVE | HWY_SVE2 | HWY_SVE_256 | HWY_SVE2_128 | HWY_RVV)
#include "lib/backend/cpu/simd.h"

HWY_BEFORE_NAMESPACE();
namespace trainer::cpu::winograd::HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;
namespace simd = cpu::HWY_NAMESPACE;
using Full = simd::Full;
using Vector = hn::Vec<Full>;
constexpr int64_t lanes = hn::MaxLanes(Full());
constexpr int64_t panel = 2 * lanes;

// The points a and b, and what the transforms are made of. Those of B and A are exact in f32.
constexpr float a = 0.625F, b = 1.5F, a2 = a * a, b2 = b * b, a3 = a * a2, b3 = b * b2;
constexpr auto inverse = [](double x) { return static_cast<float>(1 / x); };
constexpr double a2d = a2, b2d = b2;
constexpr float n0 = inverse(a2d * b2d);  // 1 / product of (0 - other finite points)
constexpr float na = inverse(2 * a2d * (a2d - b2d)), nb = inverse(2 * b2d * (b2d - a2d));  // of +-a, +-b

HWY_INLINE Vector times(float k, Vector x) { return hn::Mul(hn::Set(Full(), k), x); }
HWY_INLINE Vector plus(Vector sum, float k, Vector x) { return hn::MulAdd(hn::Set(Full(), k), x, sum); }

/// B^T x
struct Input {
  static constexpr int from = 6, to = 6;
  HWY_INLINE void operator()(const Vector (&x)[6], Vector (&y)[6]) const {
    const Vector even_a = plus(x[4], -b2, x[2]), odd_a = plus(times(a, x[3]), -a * b2, x[1]);
    const Vector even_b = plus(x[4], -a2, x[2]), odd_b = plus(times(b, x[3]), -b * a2, x[1]);
    y[0] = plus(plus(x[4], -(a2 + b2), x[2]), a2 * b2, x[0]);
    y[1] = hn::Add(even_a, odd_a);
    y[2] = hn::Sub(even_a, odd_a);
    y[3] = hn::Add(even_b, odd_b);
    y[4] = hn::Sub(even_b, odd_b);
    y[5] = plus(plus(x[5], -(a2 + b2), x[3]), a2 * b2, x[1]);
  }
};

/// A x
struct Gradient {
  static constexpr int from = 4, to = 6;
  HWY_INLINE void operator()(const Vector (&x)[4], Vector (&y)[6]) const {
    const Vector even_a = plus(x[0], a2, x[2]), odd_a = plus(times(a, x[1]), a3, x[3]);
    const Vector even_b = plus(x[0], b2, x[2]), odd_b = plus(times(b, x[1]), b3, x[3]);
    y[0] = x[0];
    y[1] = hn::Add(even_a, odd_a);
    y[2] = hn::Sub(even_a, odd_a);
    y[3] = hn::Add(even_b, odd_b);
    y[4] = hn::Sub(even_b, odd_b);
    y[5] = x[3];
  }
};

/// A^T x
struct Output {
  static constexpr int from = 6, to = 4;
  HWY_INLINE void operator()(const Vector (&x)[6], Vector (&y)[4]) const {
    const Vector even_a = hn::Add(x[1], x[2]), odd_a = hn::Sub(x[1], x[2]);
    const Vector even_b = hn::Add(x[3], x[4]), odd_b = hn::Sub(x[3], x[4]);
    y[0] = hn::Add(hn::Add(x[0], even_a), even_b);
    y[1] = plus(times(a, odd_a), b, odd_b);
    y[2] = plus(times(a2, even_a), b2, even_b);
    y[3] = plus(plus(x[5], a3, odd_a), b3, odd_b);
  }
};

/// G x
struct Filter {
  static constexpr int from = 3, to = 6;
  HWY_INLINE void operator()(const Vector (&x)[3], Vector (&y)[6]) const {
    const Vector even_a = times(na, plus(x[0], a2, x[2])), odd_a = times(na * a, x[1]);
    const Vector even_b = times(nb, plus(x[0], b2, x[2])), odd_b = times(nb * b, x[1]);
    y[0] = times(n0, x[0]);
    y[1] = hn::Add(even_a, odd_a);
    y[2] = hn::Sub(even_a, odd_a);
    y[3] = hn::Add(even_b, odd_b);
    y[4] = hn::Sub(even_b, odd_b);
    y[5] = x[2];
  }
};

/// G^T x
struct FilterGradient {
  static constexpr int from = 6, to = 3;
  HWY_INLINE void operator()(const Vector (&x)[6], Vector (&y)[3]) const {
    const Vector even_a = times(na, hn::Add(x[1], x[2])), odd_a = hn::Sub(x[1], x[2]);
    const Vector even_b = times(nb, hn::Add(x[3], x[4])), odd_b = hn::Sub(x[3], x[4]);
    y[0] = hn::Add(plus(even_a, n0, x[0]), even_b);
    y[1] = plus(times(na * a, odd_a), nb * b, odd_b);
    y[2] = plus(plus(x[5], a2, even_a), b2, even_b);
  }
};

/// T x T^T: load(i, j) gives the elements of x, store(i, j, v) takes those of the result.
template <class T, class Load, class Store>
HWY_INLINE void both_sides(const Load& load, const Store& store) {
  const T transform;
  Vector half[T::to][T::from];
  for (int j = 0; j < T::from; ++j) {
    Vector x[T::from], y[T::to];
    for (int i = 0; i < T::from; ++i) x[i] = load(i, j);
    transform(x, y);
    for (int i = 0; i < T::to; ++i) half[i][j] = y[i];
  }
  for (int i = 0; i < T::to; ++i) {
    Vector y[T::to];
    transform(half[i], y);
    for (int j = 0; j < T::to; ++j) store(i, j, y[j]);
  }
}

/// The first n < lanes elements, f32 or bf16, then zeros; and back.
template <class E>
HWY_INLINE Vector load_part(const E* p, int64_t n) {
  HWY_ALIGN E values[lanes] = {};
  std::memcpy(values, p, static_cast<size_t>(n) * sizeof(E));
  return simd::load(Full(), values);
}
template <class E>
HWY_INLINE void store_part(Vector v, E* p, int64_t n) {
  HWY_ALIGN E values[lanes];
  simd::store(v, Full(), values);
  std::memcpy(p, values, static_cast<size_t>(n) * sizeof(E));
}

/// Calls f(load, store, i) for i in steps of a vector through [0, n), with functions that move a vector and
/// keep within n.
template <class F>
HWY_INLINE void for_whole_and_part(int64_t n, const F& f) {
  int64_t i = 0;
  for (; i + lanes <= n; i += lanes) {
    f([](const auto* p) HWY_ATTR { return simd::load(Full(), p); },
      [](Vector v, auto* p) HWY_ATTR { simd::store(v, Full(), p); }, i);
  }
  if (i < n) {
    f([=](const auto* p) HWY_ATTR { return load_part(p, n - i); },
      [=](Vector v, auto* p) HWY_ATTR { store_part(v, p, n - i); }, i);
  }
}

struct Place {
  int64_t image, h, w;
};
HWY_INLINE Place place(const Map& m, int64_t t) {
  const int64_t row = t / m.tiles_w;
  return {row / m.tiles_h, row % m.tiles_h * tile, t % m.tiles_w * tile};
}

template <class T, class E>
HWY_INLINE void transform_map(const Map& x, const E* zeros, int64_t first, int64_t count, const Matrices& to,
                              int64_t row) {
  constexpr int size = T::from;
  const int64_t step = to.step();
  for (int64_t r = row; r < row + count; ++r) {
    const Place at = place(x, first + r - row);
    const E* pixel[size][size];
    for (int i = 0; i < size; ++i) {
      const int64_t h = at.h - x.pad_h + i;
      const bool inside = h >= 0 && h < x.height;
      for (int j = 0; j < size; ++j) {
        const int64_t w = at.w - x.pad_w + j;
        pixel[i][j] = inside && w >= 0 && w < x.width
                          ? x.data.as<E>() + ((at.image * x.height + h) * x.width + w) * x.channels
                          : zeros;
      }
    }
    for (int64_t begin = 0; begin < x.channels; begin += to.width) {
      float* out = to.group(begin / to.width) + r * to.width;
      for_whole_and_part(std::min(to.width, x.channels - begin), [&](auto load, auto, int64_t c) HWY_ATTR {
        both_sides<T>([&](int i, int j) HWY_ATTR { return load(pixel[i][j] + begin + c); },
                      [&](int i, int j, Vector v)
                          HWY_ATTR { hn::StoreU(v, Full(), out + (i * window + j) * step + c); });
      });
    }
  }
}

void transform_input(const Map& x, const float* zeros, int64_t first, int64_t count, const Matrices& to,
                     int64_t row) {
  simd::with_element(x.data.dtype, [&]<class E>(E) HWY_ATTR {
    transform_map<Input>(x, reinterpret_cast<const E*>(zeros), first, count, to, row);
  });
}

void transform_gradient(const Map& dy, const float* zeros, int64_t first, int64_t count, const Matrices& to,
                        int64_t row) {
  simd::with_element(dy.data.dtype, [&]<class E>(E) HWY_ATTR {
    transform_map<Gradient>(dy, reinterpret_cast<const E*>(zeros), first, count, to, row);
  });
}

template <class E>
HWY_INLINE void transform_output_to(const Matrices& m, const float* bias, Range channels, int64_t first,
                                    const Map& y) {
  const int64_t step = m.step();
  for (int64_t r = 0; r < m.rows; ++r) {
    const Place at = place(y, first + r);
    E* pixel[tile][tile];
    for (int64_t i = 0; i < tile; ++i) {
      for (int64_t j = 0; j < tile; ++j) {
        const int64_t h = at.h + i, w = at.w + j;
        pixel[i][j] =
            h < y.height && w < y.width
                ? y.data.as<E>() + ((at.image * y.height + h) * y.width + w) * y.channels + channels.begin
                : nullptr;
      }
    }
    const float* in = m.data + r * m.width;
    for_whole_and_part(channels.size(), [&](auto load, auto store, int64_t c) HWY_ATTR {
      const Vector offset = bias != nullptr ? load(bias + channels.begin + c) : hn::Zero(Full());
      both_sides<Output>([&](int i, int j)
                             HWY_ATTR { return hn::LoadU(Full(), in + (i * window + j) * step + c); },
                         [&](int i, int j, Vector v) HWY_ATTR {
                           if (pixel[i][j] != nullptr) store(hn::Add(v, offset), pixel[i][j] + c);
                         });
    });
  }
}

void transform_output(const Matrices& m, const float* bias, Range channels, int64_t first, const Map& y) {
  simd::with_element(y.data.dtype,
                     [&]<class E>(E) HWY_ATTR { transform_output_to<E>(m, bias, channels, first, y); });
}

/// One row of right factors from filters whose nine elements lie `step` apart, a row of channels each.
HWY_INLINE void filter_row(const float* w, int64_t step, int64_t n, float* u, int64_t u_step) {
  for_whole_and_part(n, [&](auto load, auto, int64_t c) HWY_ATTR {
    both_sides<Filter>([&](int i, int j) HWY_ATTR { return load(w + (i * 3 + j) * step + c); },
                       [&](int i, int j, Vector v)
                           HWY_ATTR { hn::StoreU(v, Full(), u + (i * window + j) * u_step + c); });
  });
}

void transform_filters(const Filters& w, bool forward, Range k, Range n, const Matrices& u) {
  const int64_t filter = 9 * w.inputs;
  float* row = u.data;
  if (!forward) {
    for (int64_t o = k.begin; o < k.end; ++o, row += panel) {
      filter_row(w.data + o * filter + 8 * w.inputs + n.begin, -w.inputs, n.size(), row, u.step());
    }
    return;
  }
  // Outputs have to lie side by side: the filters of some inputs at a time are turned around.
  constexpr int64_t group = 16;
  float turned[group][9][panel];
  for (int64_t begin = k.begin; begin < k.end; begin += group) {
    const int64_t count = std::min(group, k.end - begin);
    for (int64_t o = 0; o < n.size(); ++o) {
      const float* from = w.data + (n.begin + o) * filter + begin;
      for (int64_t f = 0; f < 9; ++f) {
        for (int64_t c = 0; c < count; ++c) turned[c][f][o] = from[f * w.inputs + c];
      }
    }
    for (int64_t c = 0; c < count; ++c, row += panel)
      filter_row(turned[c][0], panel, n.size(), row, u.step());
  }
}

void transform_filter_gradient(const Matrices& du, Range outputs, Range inputs, const Filters& dw) {
  const int64_t step = du.step();
  const float* row = du.data;
  for (int64_t o = outputs.begin; o < outputs.end; ++o, row += panel) {
    float* out = dw.data + o * 9 * dw.inputs + inputs.begin;
    for_whole_and_part(inputs.size(), [&](auto, auto store, int64_t c) HWY_ATTR {
      both_sides<FilterGradient>(
          [&](int i, int j) HWY_ATTR { return hn::LoadU(Full(), row + (i * window + j) * step + c); },
          [&](int i, int j, Vector v) HWY_ATTR { store(v, out + (i * 3 + j) * dw.inputs + c); });
    });
  }
}

/// Rows of a product that are summed at once, in registers.
constexpr int most_rows = HWY_ARCH_ARM_A64 || lanes >= 16 ? 14 : 6;

/// A few rows: c [kRows, panel] (+)= left x right, where left(row, k) is left[row * kRow + k * kDepth]. The
/// factors of the next product, `left_step` behind and just behind, are brought into the cache meanwhile.
template <int kRows, int kVectors, int64_t kRow, int64_t kDepth>
void few_rows(const float* HWY_RESTRICT left, const float* HWY_RESTRICT right, int64_t depth,
              int64_t left_step, bool add, float* HWY_RESTRICT c) {
  const Full d;
  Vector sum[kRows][kVectors];
  for (int r = 0; r < kRows; ++r) {
    for (int v = 0; v < kVectors; ++v)
      sum[r][v] = add ? hn::LoadU(d, c + r * panel + v * lanes) : hn::Zero(d);
  }
  for (int64_t k = 0; k < depth; ++k) {
    Vector x[kVectors];
    for (int v = 0; v < kVectors; ++v) x[v] = hn::LoadU(d, right + k * panel + v * lanes);
    for (int v = 0; v < kVectors; ++v) hwy::Prefetch(right + (k + depth) * panel + v * lanes);
    if constexpr (kDepth == 1) hwy::Prefetch(left + left_step + k * line);  // rows are contiguous
    for (int r = 0; r < kRows; ++r) {
      const Vector y = hn::Set(d, left[r * kRow + k * kDepth]);
      for (int v = 0; v < kVectors; ++v) sum[r][v] = hn::MulAdd(y, x[v], sum[r][v]);
    }
  }
  for (int r = 0; r < kRows; ++r) {
    for (int v = 0; v < kVectors; ++v) hn::StoreU(sum[r][v], d, c + r * panel + v * lanes);
  }
}

using FewRows = void (*)(const float*, const float*, int64_t, int64_t, bool, float*);

template <int kVectors, int64_t kRow, int64_t kDepth, size_t... kIndex>
constexpr std::array<FewRows, sizeof...(kIndex)> few_rows_table(std::index_sequence<kIndex...>) {
  return {few_rows<static_cast<int>(kIndex) + 1, kVectors, kRow, kDepth>...};
}

template <int kVectors, int64_t kRow, int64_t kDepth>
void all_rows(const Products& p) {
  static constexpr auto table = few_rows_table<kVectors, kRow, kDepth>(std::make_index_sequence<most_rows>());
  const int64_t parts = (p.rows + most_rows - 1) / most_rows;
  for (int64_t m = 0; m < p.count; ++m) {
    for (int64_t i = 0; i < parts; ++i) {  // of equal size, or one row less
      const int64_t begin = p.rows * i / parts, end = p.rows * (i + 1) / parts;
      table[end - begin - 1](p.a + m * p.a_step + begin * kRow, p.b + m * p.b_step, p.depth, p.a_step, p.add,
                             p.c + m * p.c_step + begin * panel);
    }
  }
}

void multiply(const Products& p) {
  (p.columns > lanes ? all_rows<2, block_width, 1> : all_rows<1, block_width, 1>)(p);
}
void multiply_transposed(const Products& p) {
  (p.columns > lanes ? all_rows<2, 1, block_width> : all_rows<1, 1, block_width>)(p);
}

int64_t panel_width() { return panel; }

}  // namespace
}  // namespace trainer::cpu::winograd::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace trainer::cpu::winograd {

HWY_EXPORT(panel_width);
HWY_EXPORT(transform_input);
HWY_EXPORT(transform_gradient);
HWY_EXPORT(transform_output);
HWY_EXPORT(transform_filters);
HWY_EXPORT(transform_filter_gradient);
HWY_EXPORT(multiply);
HWY_EXPORT(multiply_transposed);

int64_t panel_width() { return HWY_DYNAMIC_DISPATCH(panel_width)(); }
void transform_input(const Map& x, const float* zeros, int64_t first, int64_t count, const Matrices& to,
                     int64_t row) {
  HWY_DYNAMIC_DISPATCH(transform_input)(x, zeros, first, count, to, row);
}
void transform_gradient(const Map& dy, const float* zeros, int64_t first, int64_t count, const Matrices& to,
                        int64_t row) {
  HWY_DYNAMIC_DISPATCH(transform_gradient)(dy, zeros, first, count, to, row);
}
void transform_output(const Matrices& m, const float* bias, Range channels, int64_t first, const Map& y) {
  HWY_DYNAMIC_DISPATCH(transform_output)(m, bias, channels, first, y);
}
void transform_filters(const Filters& w, bool forward, Range k, Range n, const Matrices& u) {
  HWY_DYNAMIC_DISPATCH(transform_filters)(w, forward, k, n, u);
}
void transform_filter_gradient(const Matrices& du, Range outputs, Range inputs, const Filters& dw) {
  HWY_DYNAMIC_DISPATCH(transform_filter_gradient)(du, outputs, inputs, dw);
}
void multiply(const Products& p) { HWY_DYNAMIC_DISPATCH(multiply)(p); }
void multiply_transposed(const Products& p) { HWY_DYNAMIC_DISPATCH(multiply_transposed)(p); }

}  // namespace trainer::cpu::winograd
#endif
