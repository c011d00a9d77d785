// Which depthwise convolutions are computed by our loops, and how they are split among threads.
#include "lib/backend/cpu/depthwise.h"

#include "lib/backend/cpu/any_float.h"
#include "lib/backend/cpu/column_sum.h"
#include "lib/backend/cpu/depthwise_loops.h"
#include "lib/backend/cpu/onednn.h"
#include "lib/backend/cpu/parallel.h"

namespace trainer::cpu {
namespace {
constinit OwnLoopsSwitch setting;
}

void set_depthwise(OwnLoops where) { setting.set(where); }

namespace depthwise {
namespace {

/// What the loops are written for.
bool possible(const Tensor& x, const Tensor& w, const ops::Conv2dArgs& a) {
  const int64_t channels = x.size(3), kernel = w.size(1);
  return (x.dtype() == DType::f32 || x.dtype() == DType::bf16) && a.groups == channels &&
         w.size(0) == channels && channels >= vector_width() && w.size(2) == kernel &&
         (kernel == 3 || kernel == 5 || kernel == 7) && a.stride.h == a.stride.w && a.stride.h <= 2 &&
         a.dilation == ops::Pair(1);
}

bool wanted(const Tensor& x, const Tensor& w, const ops::Conv2dArgs& a, bool faster) {
  return possible(x, w, a) && setting.wants(faster);
}

/// Of x, at least. Ours gain most on maps that do not stay in a cache; oneDNN rounds to bf16 faster, by an
/// instruction that our loops do not have.
bool has_megabytes(const Tensor& x, size_t n) { return x.bytes() >= n << 20; }

Window window(const Tensor& x, const Tensor& y, int64_t kernel, const ops::Conv2dArgs& a) {
  return {.x = {Elements("conv2d", x), x.size(1), x.size(2)},
          .y = {Elements("conv2d", y), y.size(1), y.size(2)},
          .channels = x.size(3),
          .kernel = kernel,
          .stride = a.stride.h,
          .pad_h = a.padding.h,
          .pad_w = a.padding.w,
          .past_caches = false};
}

bool past_caches(const Tensor& results) {
  return may_go_past_caches(Elements("conv2d", results), results.shape().rows(), results.size(3));
}

template <class T>
void turn(const T* w, int64_t taps, int64_t channels, bool backwards, float* to) {
  for (int64_t t = 0; t < taps; ++t) {
    const T* from = w + (backwards ? taps - 1 - t : t);
    for (int64_t c = 0; c < channels; ++c) to[t * channels + c] = static_cast<float>(from[c * taps]);
  }
}
/// Filters [C, K, K, 1] tap by tap, [K, K, C]; turned by 180 degrees if `backwards`.
Rows<float> tap_by_tap(const Tensor& w, bool backwards) {
  const int64_t taps = w.size(1) * w.size(2), channels = w.size(0);
  Rows<float> to(taps, channels);
  if (w.dtype() == DType::bf16) {
    turn(w.data<bf16>(), taps, channels, backwards, to[0]);
  } else {
    turn(w.data<float>(), taps, channels, backwards, to[0]);
  }
  return to;
}

/// Rows of a map that are worth a thread.
int64_t grain(const Window& c, const Map& map) {
  static constexpr int64_t worth_a_thread = 1 << 20;  // products, some ten microseconds
  return std::max<int64_t>(1, worth_a_thread / (map.width * c.channels * c.kernel * c.kernel));
}

}  // namespace

// Rules as measured: `bench_conv depthwise`, docs/benchmarks.md.

bool wanted_forward(const Tensor& x, const Tensor& w, const ops::Conv2dArgs& a) {
  const bool narrow = x.dtype() == DType::bf16;
  return wanted(x, w, a, w.size(1) > 3 || (!narrow && (a.stride.h == 1 || has_megabytes(x, 16))));
}

bool wanted_backward_data(const Tensor& dx, const Tensor& w, const ops::Conv2dArgs& a) {
  const bool narrow = dx.dtype() == DType::bf16, large = w.size(1) > 3;
  if (a.stride.h == 1) return wanted(dx, w, a, large || !narrow || has_megabytes(dx, 8));
  return wanted(dx, w, a, !narrow && (large || has_megabytes(dx, 16)));
}

bool wanted_backward_weight(const Tensor& x, const Tensor& dw, const ops::Conv2dArgs& a) {
  const size_t least = x.dtype() == DType::bf16 ? 8 : a.stride.h == 1 ? 4 : 32;
  return wanted(x, dw, a, dw.size(1) > 3 || has_megabytes(x, least));
}

void forward(const Tensor& x, const Tensor& w, const Tensor& bias, const ops::Conv2dArgs& args, Tensor& y) {
  Window c = window(x, y, w.size(1), args);
  c.past_caches = past_caches(y);
  const Rows<float> filters = tap_by_tap(w, false);
  const Converted<const Tensor&> b(bias, f32_alone);
  const float* offset = bias.defined() ? b.value.data<float>() : nullptr;
  parallel_for(y.size(0) * y.size(1), grain(c, c.y), [&](int64_t begin, int64_t end) {
    correlate(c, filters[0], offset, {begin, end});
  });
}

void backward_data(const Tensor& dy, const Tensor& w, const ops::Conv2dArgs& args, Tensor& dx) {
  Window c = window(dx, dy, w.size(1), args);
  c.past_caches = past_caches(dx);
  const int64_t rows = dx.size(0) * dx.size(1);
  if (c.stride == 2) {
    const Rows<float> filters = tap_by_tap(w, false);
    return parallel_for(rows, grain(c, c.x), [&](int64_t begin, int64_t end) {
      spread(c, filters[0], {begin, end});
    });
  }
  // A convolution again, with the filters turned.
  std::swap(c.x, c.y);
  c.pad_h = c.kernel - 1 - c.pad_h;
  c.pad_w = c.kernel - 1 - c.pad_w;
  const Rows<float> filters = tap_by_tap(w, true);
  parallel_for(rows, grain(c, c.y), [&](int64_t begin, int64_t end) {
    correlate(c, filters[0], nullptr, {begin, end});
  });
}

void backward_weight(const Tensor& dy, const Tensor& x, const ops::Conv2dArgs& args, Tensor& dw,
                     Tensor& dbias) {
  const Window c = window(x, dy, dw.size(1), args);
  const int64_t taps = c.kernel * c.kernel, rows = dy.size(0) * dy.size(1), row = slots(c.channels);
  // Chunks of rows give sums each, as many for any number of threads.
  const int64_t chunks = std::clamp<int64_t>(rows / (4 * grain(c, c.y)), 1, 16);
  const Rows<float> sums(chunks, taps * row);
  parallel_for(chunks, 1, [&](int64_t first, int64_t last) {
    for (int64_t i = first; i < last; ++i) products(c, {rows * i / chunks, rows * (i + 1) / chunks}, sums[i]);
  });
  float* sum = sums[0];
  for (int64_t i = 1; i < chunks; ++i) {
    const float* more = sums[i];
    for (int64_t e = 0; e < taps * row; ++e) sum[e] += more[e];
  }
  const auto write = [&]<class T>(T* to) {
    for (int64_t k = 0; k < c.channels; ++k) {
      const float* from = sum + slot_of(k, c.channels);
      for (int64_t t = 0; t < taps; ++t) *to++ = static_cast<T>(from[t * row]);
    }
  };
  if (dw.dtype() == DType::bf16) {
    write(dw.data<bf16>());
  } else {
    write(dw.data<float>());
  }
  if (!dbias.defined()) return;
  Converted<Tensor&> db(dbias, f32_alone);
  column_sum(c.y.data, dy.shape().rows(), c.channels, db.value.data<float>());
}

}  // namespace depthwise
}  // namespace trainer::cpu
