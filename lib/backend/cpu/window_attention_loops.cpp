#include "lib/backend/cpu/window_attention_loops.h"

#include <hwy/cache_control.h>

#include <utility>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "lib/backend/cpu/window_attention_loops.cpp"
#include "lib/backend/cpu/simd.h"

HWY_BEFORE_NAMESPACE();
namespace trainer::cpu::HWY_NAMESPACE {
namespace {

using D = hn::CappedTag<float, 16>;
/// The most rows and columns of vectors whose sums stay in registers, beside the operands.
constexpr int kRows = HWY_TARGET <= HWY_AVX3 ? 12 : 6, kVectors = 2;

/// The first R rows and V vectors of y.
template <int R, int V>
HWY_INLINE void tile(const SmallProduct& p, const float* a, const float* b, float* y) {
  const D d;
  constexpr auto lanes = static_cast<int64_t>(hn::MaxLanes(D()));
  hn::Vec<D> sum[R][V];
  for (int r = 0; r < R; ++r)
    for (int v = 0; v < V; ++v) sum[r][v] = hn::Zero(d);
  for (int64_t k = 0; k < p.depth; ++k, a += p.a_step, b += p.b_stride) {
    hn::Vec<D> row[V];
    for (int v = 0; v < V; ++v) row[v] = hn::LoadU(d, b + v * lanes);
    HWY_UNROLL(kRows)
    for (int r = 0; r < R; ++r) {
      const auto factor = hn::Set(d, a[r * p.a_row]);
      for (int v = 0; v < V; ++v) sum[r][v] = hn::MulAdd(factor, row[v], sum[r][v]);
    }
  }
  for (int r = 0; r < R; ++r)
    for (int v = 0; v < V; ++v) hn::StoreU(sum[r][v], d, y + r * p.y_stride + v * lanes);
}

template <int R>
void row_of_tiles(const SmallProduct& p, const float* a, const float* b, float* y) {
  constexpr auto lanes = static_cast<int64_t>(hn::MaxLanes(D()));
  int64_t c = 0;
  for (; c + lanes < p.columns; c += kVectors * lanes) tile<R, kVectors>(p, a, b + c, y + c);
  if (c < p.columns) tile<R, 1>(p, a, b + c, y + c);
}

/// Tiles of as equal heights as can be.
template <int... R>
void multiply_by(const SmallProduct& p, const float* a, const float* b, float* y,
                 std::integer_sequence<int, R...>) {
  using Row = void (*)(const SmallProduct&, const float*, const float*, float*);
  static constexpr Row of_height[] = {row_of_tiles<R + 1>...};
  const int64_t tiles = (p.rows + kRows - 1) / kRows;
  for (int64_t i = 0; i < tiles; ++i) {
    const int64_t begin = p.rows * i / tiles, height = p.rows * (i + 1) / tiles - begin;
    of_height[height - 1](p, a + begin * p.a_row, b, y + begin * p.y_stride);
  }
}

void multiply(const SmallProduct& p, const float* a, const float* b, float* y) {
  multiply_by(p, a, b, y, std::make_integer_sequence<int, kRows>());
}

void read_rows(const Elements& x, int64_t x_stride, int64_t rows, int64_t width, float* y, int64_t y_stride) {
  with_element(x.dtype, [&]<class T>(T) HWY_ATTR {
    const T* from = x.as<const T>();
    for (int64_t r = 0; r < rows; ++r, from += x_stride, y += y_stride)
      for_vectors(0, width, [&](auto d, int64_t i) HWY_ATTR { hn::StoreU(load(d, from + i), d, y + i); });
  });
}

void write_rows(const float* y, int64_t y_stride, int64_t rows, int64_t width, const Elements& x,
                int64_t x_stride) {
  with_element(x.dtype, [&]<class T>(T) HWY_ATTR {
    T* to = x.as<T>();
    for (int64_t r = 0; r < rows; ++r, to += x_stride, y += y_stride)
      for_vectors(0, width, [&](auto d, int64_t i) HWY_ATTR { store(hn::LoadU(d, y + i), d, to + i); });
  });
}

/// Four rows at a time become vectors of four.
void transpose(const float* x, int64_t x_stride, int64_t rows, int64_t width, float* y, int64_t y_stride) {
  const hn::CappedTag<float, 4> d;
  const hn::RepartitionToWide<decltype(d)> pairs;
  int64_t r = 0;
  for (; r + 4 <= rows; r += 4, x += 4 * x_stride) {
    int64_t c = 0;
    for (; c + 4 <= width; c += 4) {
      const auto v0 = hn::LoadU(d, x + c), v1 = hn::LoadU(d, x + x_stride + c),
                 v2 = hn::LoadU(d, x + 2 * x_stride + c), v3 = hn::LoadU(d, x + 3 * x_stride + c);
      const auto low01 = hn::BitCast(pairs, hn::InterleaveLower(d, v0, v1)),
                 low23 = hn::BitCast(pairs, hn::InterleaveLower(d, v2, v3)),
                 high01 = hn::BitCast(pairs, hn::InterleaveUpper(d, v0, v1)),
                 high23 = hn::BitCast(pairs, hn::InterleaveUpper(d, v2, v3));
      float* to = y + c * y_stride + r;
      hn::StoreU(hn::BitCast(d, hn::InterleaveLower(pairs, low01, low23)), d, to);
      hn::StoreU(hn::BitCast(d, hn::InterleaveUpper(pairs, low01, low23)), d, to + y_stride);
      hn::StoreU(hn::BitCast(d, hn::InterleaveLower(pairs, high01, high23)), d, to + 2 * y_stride);
      hn::StoreU(hn::BitCast(d, hn::InterleaveUpper(pairs, high01, high23)), d, to + 3 * y_stride);
    }
    for (; c < width; ++c)
      for (int64_t i = 0; i < 4; ++i) y[c * y_stride + r + i] = x[i * x_stride + c];
  }
  for (; r < rows; ++r, x += x_stride)
    for (int64_t c = 0; c < width; ++c) y[c * y_stride + r] = x[c];
}

}  // namespace
}  // namespace trainer::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace trainer::cpu {

HWY_EXPORT(multiply);
HWY_EXPORT(read_rows);
HWY_EXPORT(write_rows);
HWY_EXPORT(transpose);

void multiply(const SmallProduct& p, const float* a, const float* b, float* y) {
  HWY_DYNAMIC_DISPATCH(multiply)(p, a, b, y);
}
void read_rows(const Elements& x, int64_t x_stride, int64_t rows, int64_t width, float* y, int64_t y_stride) {
  HWY_DYNAMIC_DISPATCH(read_rows)(x, x_stride, rows, width, y, y_stride);
}
void write_rows(const float* y, int64_t y_stride, int64_t rows, int64_t width, const Elements& x,
                int64_t x_stride) {
  HWY_DYNAMIC_DISPATCH(write_rows)(y, y_stride, rows, width, x, x_stride);
}
void prefetch_rows(const Elements& x, int64_t x_stride, int64_t rows, int64_t width) {
  const auto element = static_cast<int64_t>(size_of(x.dtype));
  static constexpr int64_t line_bytes = 64;
  const std::byte* row = x.as<const std::byte>();
  for (int64_t r = 0; r < rows; ++r, row += x_stride * element)
    for (int64_t i = 0; i < width * element; i += line_bytes) hwy::Prefetch(row + i);
}
void transpose(const float* x, int64_t x_stride, int64_t rows, int64_t width, float* y, int64_t y_stride) {
  HWY_DYNAMIC_DISPATCH(transpose)(x, x_stride, rows, width, y, y_stride);
}

}  // namespace trainer::cpu
#endif
