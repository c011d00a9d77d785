// Loops of depthwise convolution, for every instruction set.
//
// A block of columns and a vector of channels at a time: the results and a row of taps stay in registers, and
// each pixel that is loaded meets all the taps that it has in the block. Pixels outside of the map are
// skipped.
#include "lib/backend/cpu/depthwise_loops.h"

#include <hwy/cache_control.h>

#include <algorithm>
#include <utility>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "lib/backend/cpu/depthwise_loops.cpp"
// Arrays of vectors need vectors of a known size. (SSE4: see simd.h.)
#define HWY_DISABLED_TARGETS (HWY_SSE4 | HWY_SVE | HWY_SVE2 | HWY_SVE_256 | HWY_SVE2_128 | HWY_RVV)
#include "lib/backend/cpu/simd.h"

// Arrays of vectors become registers only if every lambda that indexes them is inlined.
#ifndef TRAINER_INLINE_LAMBDA
#define TRAINER_INLINE_LAMBDA __attribute__((always_inline)) HWY_ATTR
#endif

HWY_BEFORE_NAMESPACE();
namespace trainer::cpu::depthwise::HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;
using cpu::HWY_NAMESPACE::Full;
using cpu::HWY_NAMESPACE::load;
using cpu::HWY_NAMESPACE::store_to;
using cpu::HWY_NAMESPACE::with_element;
using Vector = hn::Vec<Full>;
constexpr int64_t lanes = hn::MaxLanes(Full());

/// Columns of results at a time, and for maps of no more columns than `narrow`.
constexpr int wide = lanes >= 16 ? 14 : 7, narrow = 7;
constexpr int spread_block = 8;

/// f(0), f(1), ... f(n - 1), with constants for arguments.
template <int n, class F>
HWY_INLINE void unrolled(const F& f) {
  [&]<int... i>(std::integer_sequence<int, i...>) TRAINER_INLINE_LAMBDA {
    (f(std::integral_constant<int, i>()), ...);
  }
  (std::make_integer_sequence<int, n>());
}

/// Those of the `count` indices from `begin` on that are inside of [0, size): first to last, or a bit for
/// each.
struct Inside {
  int64_t first, last;
  HWY_INLINE Inside(int64_t begin, int64_t count, int64_t size)
      : first(std::max<int64_t>(0, -begin)), last(std::min(count, size - begin)) {}
  HWY_INLINE uint64_t bits() const {
    return last <= first ? 0 : (~uint64_t{0} >> (64 - (last - first))) << first;
  }
};
HWY_INLINE bool has(uint64_t bits, int i) { return (bits >> i & 1) != 0; }

template <class T>
HWY_INLINE void put(Vector v, T* p, bool past_caches) {
  if (past_caches) {
    store_to<true>(v, Full(), p);
  } else {
    store_to<false>(v, Full(), p);
  }
}

/// A map of larger images is not foreseen by the processor: its rows are asked for one ahead.
bool ask_ahead(const Map& m, int64_t channels) {
  static constexpr int64_t foreseen = 256 << 10;
  return m.height * m.width * channels * static_cast<int64_t>(size_of(m.data.dtype)) > foreseen;
}

template <class T>
HWY_INLINE T* pixel(const Map& m, int64_t channels, int64_t image, int64_t h, int64_t w) {
  return m.data.as<T>() + ((image * m.height + h) * m.width + w) * channels;
}

/// Calls f(image, h, begin, end) for each row of the range and for parts of its channels, so many that the
/// rows of `in` that a row of results needs, and the filters, stay in a thread's cache.
template <class F>
HWY_INLINE void for_rows(const Window& c, const Map& in, const Map& out, const RowRange& rows, const F& f) {
  static constexpr int64_t cache = 256 << 10, least = 64;
  const int64_t vectors = (c.channels + lanes - 1) / lanes;
  const int64_t vector = static_cast<int64_t>(sizeof(float)) * lanes * c.kernel * (c.kernel + in.width);
  const int64_t at_once = std::max(least / lanes, cache / vector);
  const int64_t parts = (vectors + at_once - 1) / at_once;
  for (int64_t r = rows.begin; r < rows.end;) {
    const int64_t image = r / out.height, last = std::min(rows.end, (image + 1) * out.height);
    for (int64_t p = 0; p < parts; ++p) {
      const int64_t begin = vectors * p / parts * lanes, end = vectors * (p + 1) / parts * lanes;
      for (int64_t h = r; h < last; ++h) f(image, h - image * out.height, begin, end);
    }
    r = last;
  }
}

/// Where the vector of channels at c begins: the last one overlaps the one before.
HWY_INLINE int64_t clamped(int64_t c, int64_t channels) { return std::min(c, channels - lanes); }

/// kBlock pixels of y, of which `count` exist. x is the first pixel's window, of which `rows` and `columns`
/// exist.
template <int kKernel, int kStride, int kBlock, class T>
HWY_INLINE void correlate_block(const Window& c, const T* x, const Inside& rows, uint64_t columns, bool ahead,
                                const float* filters, Vector start, int count, T* y) {
  const int64_t row = c.x.width * c.channels;
  Vector sum[kBlock];
  unrolled<kBlock>([&](auto b) TRAINER_INLINE_LAMBDA { sum[b] = start; });
  if (ahead) {
    unrolled<kStride>([&](auto i) TRAINER_INLINE_LAMBDA {
      unrolled<kBlock * kStride>([&](auto p) TRAINER_INLINE_LAMBDA {
        hwy::Prefetch(x + (kKernel + i) * row + (p + kKernel / 2) * c.channels);
      });
    });
  }
  for (int64_t i = rows.first; i < rows.last; ++i) {
    Vector w[kKernel];
    unrolled<kKernel>([&](auto j) TRAINER_INLINE_LAMBDA {
      w[j] = hn::LoadU(Full(), filters + (i * kKernel + j) * c.channels);
    });
    unrolled<(kBlock - 1) * kStride + kKernel>([&](auto p) TRAINER_INLINE_LAMBDA {
      if (!has(columns, p)) return;
      const Vector v = load(Full(), x + i * row + p * c.channels);
      unrolled<kKernel>([&](auto j) TRAINER_INLINE_LAMBDA {
        constexpr int from = p - j;
        if constexpr (from >= 0 && from % kStride == 0 && from / kStride < kBlock)
          sum[from / kStride] = hn::MulAdd(v, w[j], sum[from / kStride]);
      });
    });
  }
  unrolled<kBlock>([&](auto b) TRAINER_INLINE_LAMBDA {
    if (b < count) put(sum[b], y + b * c.channels, c.past_caches);
  });
}

template <int kKernel, int kStride, int kBlock, class T>
void correlate_rows(const Window& c, const float* filters, const float* bias, const RowRange& range) {
  const bool ahead = ask_ahead(c.x, c.channels);
  for_rows(c, c.x, c.y, range, [&](int64_t image, int64_t h, int64_t begin, int64_t end) HWY_ATTR {
    const int64_t top = h * kStride - c.pad_h;
    const Inside rows(top, kKernel, c.x.height);
    for (int64_t w = 0; w < c.y.width; w += kBlock) {
      const int64_t left = w * kStride - c.pad_w;
      const int count = static_cast<int>(std::min<int64_t>(kBlock, c.y.width - w));
      const uint64_t columns = Inside(left, (count - 1) * kStride + kKernel, c.x.width).bits();
      const T* x = pixel<T>(c.x, c.channels, image, top, left);
      T* y = pixel<T>(c.y, c.channels, image, h, w);
      for (int64_t i = begin; i < end; i += lanes) {
        const int64_t k = clamped(i, c.channels);
        const Vector start = bias != nullptr ? hn::LoadU(Full(), bias + k) : hn::Zero(Full());
        correlate_block<kKernel, kStride, kBlock>(c, x + k, rows, columns, ahead, filters + k, start, count,
                                                  y + k);
      }
    }
  });
}

/// Pixels of y that reach into a block of x from its left.
template <int kKernel>
constexpr int reach = (kKernel - 1) / 2;

/// The `results` of a block of x that exist, beginning with one that meets the first tap. y is the first
/// pixel that reaches it; the row above meets the taps two below.
template <int kKernel, class T>
HWY_INLINE void spread_to_block(const Window& c, const T* y, const Inside& rows, uint64_t columns, bool ahead,
                                const float* first_taps, uint64_t results, T* x) {
  const int64_t row = c.y.width * c.channels;
  Vector sum[spread_block];
  unrolled<spread_block>([&](auto b) TRAINER_INLINE_LAMBDA { sum[b] = hn::Zero(Full()); });
  if (ahead) {
    unrolled<spread_block / 2>([&](auto p) TRAINER_INLINE_LAMBDA {
      hwy::Prefetch(y + rows.last * row + (p + reach<kKernel>)*c.channels);
    });
  }
  for (int64_t i = rows.first; i < rows.last; ++i) {
    Vector w[kKernel];
    unrolled<kKernel>([&](auto j) TRAINER_INLINE_LAMBDA {
      w[j] = hn::LoadU(Full(), first_taps + (j - 2 * i * kKernel) * c.channels);
    });
    unrolled<reach<kKernel> + spread_block / 2>([&](auto p) TRAINER_INLINE_LAMBDA {
      if (!has(columns, p)) return;
      const Vector v = load(Full(), y + i * row + p * c.channels);
      unrolled<kKernel>([&](auto j) TRAINER_INLINE_LAMBDA {
        constexpr int to = 2 * (p - reach<kKernel>)+j;
        if constexpr (to >= 0 && to < spread_block) sum[to] = hn::MulAdd(v, w[j], sum[to]);
      });
    });
  }
  unrolled<spread_block>([&](auto b) TRAINER_INLINE_LAMBDA {
    if (has(results, b)) put(sum[b], x + b * c.channels, c.past_caches);
  });
}

template <int kKernel, class T>
void spread_rows(const Window& c, const float* filters, const RowRange& range) {
  const bool ahead = ask_ahead(c.y, c.channels);
  for_rows(c, c.y, c.x, range, [&](int64_t image, int64_t h, int64_t begin, int64_t end) HWY_ATTR {
    // h + pad = 2 (row of y) + tap
    const int64_t at = h + c.pad_h, bottom = at >> 1, top = (at - kKernel + 2) >> 1;
    const Inside rows(top, bottom - top + 1, c.y.height);
    const float* taps = filters + (at - 2 * top) * kKernel * c.channels;
    for (int64_t w = -(c.pad_w & 1); w < c.x.width; w += spread_block) {
      const int64_t left = ((w + c.pad_w) >> 1) - reach<kKernel>;
      const uint64_t columns = Inside(left, reach<kKernel> + spread_block / 2, c.y.width).bits();
      const uint64_t results = Inside(w, spread_block, c.x.width).bits();
      const T* y = pixel<T>(c.y, c.channels, image, top, left);
      T* x = pixel<T>(c.x, c.channels, image, h, w);
      for (int64_t i = begin; i < end; i += lanes) {
        const int64_t k = clamped(i, c.channels);
        spread_to_block<kKernel>(c, y + k, rows, columns, ahead, taps + k, results, x + k);
      }
    }
  });
}

/// Adds a row of y to the sums of kTaps rows of taps. x is the window of its first pixel, of which `rows`
/// exist.
template <int kKernel, int kStride, int kTaps, class T>
HWY_INLINE void products_row(const Window& c, const T* x, uint64_t rows, bool ahead, const T* y,
                             Vector (&sum)[kTaps][kKernel]) {
  for (int64_t w = 0; w < c.y.width; w += narrow) {
    const int count = static_cast<int>(std::min<int64_t>(narrow, c.y.width - w));
    const int64_t left = w * kStride - c.pad_w;
    const uint64_t columns = Inside(left, (count - 1) * kStride + kKernel, c.x.width).bits();
    Vector g[narrow];
    unrolled<narrow>([&](auto b) TRAINER_INLINE_LAMBDA {
      const T* p = y + (w + b) * c.channels;
      if (ahead) hwy::Prefetch(p + lanes);
      g[b] = b < count ? load(Full(), p) : hn::Zero(Full());
    });
    unrolled<kTaps>([&](auto i) TRAINER_INLINE_LAMBDA {
      if (!has(rows, i)) return;
      unrolled<(narrow - 1) * kStride + kKernel>([&](auto p) TRAINER_INLINE_LAMBDA {
        if (!has(columns, p)) return;
        const T* at = x + (i * c.x.width + left + p) * c.channels;
        if (ahead && i == kTaps - 1) hwy::Prefetch(at + lanes);
        const Vector v = load(Full(), at);
        unrolled<kKernel>([&](auto j) TRAINER_INLINE_LAMBDA {
          constexpr int from = p - j;
          if constexpr (from >= 0 && from % kStride == 0 && from / kStride < narrow)
            sum[i][j] = hn::MulAdd(v, g[from / kStride], sum[i][j]);
        });
      });
    });
  }
}

/// Rows [first, last) of an image's y, one vector of channels.
template <int kKernel, int kStride, class T>
void products_rows(const Window& c, int64_t image, int64_t first, int64_t last, int64_t channel, bool ahead,
                   float* sums, int64_t step) {
  constexpr int taps = kKernel == 3 ? 3 : 1;  // rows of taps whose sums, together, stay in registers
  for (int64_t tap = 0; tap < kKernel; tap += taps, sums += taps * kKernel * step) {
    Vector sum[taps][kKernel];
    unrolled<taps * kKernel>([&](auto t) TRAINER_INLINE_LAMBDA {
      sum[t / kKernel][t % kKernel] = hn::LoadU(Full(), sums + t * step);
    });
    for (int64_t h = first; h < last; ++h) {
      const int64_t top = h * kStride - c.pad_h + tap;
      const uint64_t rows = Inside(top, taps, c.x.height).bits();
      if (rows == 0) continue;
      products_row<kKernel, kStride, taps>(c, pixel<T>(c.x, c.channels, image, top, 0) + channel, rows, ahead,
                                           pixel<T>(c.y, c.channels, image, h, 0) + channel, sum);
    }
    unrolled<taps * kKernel>([&](auto t) TRAINER_INLINE_LAMBDA {
      hn::StoreU(sum[t / kKernel][t % kKernel], Full(), sums + t * step);
    });
  }
}

template <int kKernel, int kStride, class T>
void all_products(const Window& c, const RowRange& range, float* sums) {
  static constexpr int64_t rows_at_once = 8;  // stay in a cache while vectors of channels go through them
  const bool ahead = kKernel == 3 && ask_ahead(c.x, c.channels);
  const int64_t step = slots(c.channels);
  std::fill_n(sums, kKernel * kKernel * step, 0.0F);
  for (int64_t r = range.begin; r < range.end;) {
    const int64_t image = r / c.y.height, first = r - image * c.y.height;
    const int64_t last = std::min({range.end - image * c.y.height, c.y.height, first + rows_at_once});
    for (int64_t i = 0; i < step; i += lanes) {
      products_rows<kKernel, kStride, T>(c, image, first, last, clamped(i, c.channels), ahead, sums + i,
                                         step);
    }
    r += last - first;
  }
}

/// Calls f(K, stride) with constants.
template <class F>
HWY_INLINE void with_sizes(const Window& c, const F& f) {
  const auto with_stride = [&](auto kernel) {
    if (c.stride == 1) {
      f(kernel, std::integral_constant<int, 1>());
    } else {
      f(kernel, std::integral_constant<int, 2>());
    }
  };
  if (c.kernel == 3) {
    with_stride(std::integral_constant<int, 3>());
  } else if (c.kernel == 5) {
    with_stride(std::integral_constant<int, 5>());
  } else {
    with_stride(std::integral_constant<int, 7>());
  }
}

void correlate(const Window& c, const float* filters, const float* bias, const RowRange& rows) {
  with_element(c.x.data.dtype, [&]<class T>(T) {
    with_sizes(c, [&](auto k, auto stride) {
      const auto f = c.y.width <= narrow ? correlate_rows<k(), stride(), narrow, T>
                                         : correlate_rows<k(), stride(), wide, T>;
      f(c, filters, bias, rows);
    });
  });
  if (c.past_caches) hwy::FlushStream();
}

void spread(const Window& c, const float* filters, const RowRange& rows) {
  with_element(c.x.data.dtype, [&]<class T>(T) {
    with_sizes(c, [&](auto k, auto) { spread_rows<k(), T>(c, filters, rows); });
  });
  if (c.past_caches) hwy::FlushStream();
}

void products(const Window& c, const RowRange& rows, float* sums) {
  with_element(c.x.data.dtype, [&]<class T>(T) {
    with_sizes(c, [&](auto k, auto stride) { all_products<k(), stride(), T>(c, rows, sums); });
  });
}

int64_t vector_width() { return lanes; }

}  // namespace
}  // namespace trainer::cpu::depthwise::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace trainer::cpu::depthwise {

HWY_EXPORT(vector_width);
HWY_EXPORT(correlate);
HWY_EXPORT(spread);
HWY_EXPORT(products);

int64_t vector_width() { return HWY_DYNAMIC_DISPATCH(vector_width)(); }
void correlate(const Window& c, const float* filters, const float* bias, const RowRange& rows) {
  HWY_DYNAMIC_DISPATCH(correlate)(c, filters, bias, rows);
}
void spread(const Window& c, const float* filters, const RowRange& rows) {
  HWY_DYNAMIC_DISPATCH(spread)(c, filters, rows);
}
void products(const Window& c, const RowRange& rows, float* sums) {
  HWY_DYNAMIC_DISPATCH(products)(c, rows, sums);
}

}  // namespace trainer::cpu::depthwise
#endif
