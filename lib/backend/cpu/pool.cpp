// Pooling with the channels of a pixel as vectors. Backward passes gather: each input pixel sums what the
// windows over it send, so threads write disjoint rows and nothing is zeroed first.
#include "lib/ops/pool.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "lib/backend/cpu/any_float.h"
#include "lib/backend/cpu/floats.h"
#include "lib/backend/cpu/parallel.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "lib/backend/cpu/pool.cpp"
#include "lib/backend/cpu/simd.h"

HWY_BEFORE_NAMESPACE();
namespace trainer::cpu::HWY_NAMESPACE {
namespace {

/// Largest of the pixels of a window [rows, columns] at x, which lie row_step and `channels` apart, and its
/// position first + r position_step + c; the first of equals, but the last NaN.
template <class T>
void max_window_of(const T* x, int64_t rows, int64_t columns, int64_t row_step, int64_t channels,
                   int32_t first, int32_t position_step, T* y, uint8_t* argmax) {
  for_vectors(0, channels, [&](auto d, int64_t c) HWY_ATTR {
    const hn::RebindToSigned<decltype(d)> d_int;
    const hn::Rebind<uint8_t, decltype(d)> d_byte;
    auto best = load(d, x + c);
    auto where = hn::Set(d_int, first);
    for (int64_t r = 0; r < rows; ++r) {
      for (int64_t k = 0; k < columns; ++k) {
        const auto v = load(d, x + r * row_step + k * channels + c);
        const auto better = hn::Or(hn::Gt(v, best), hn::IsNaN(v));
        const auto position = first + static_cast<int32_t>(r) * position_step + static_cast<int32_t>(k);
        best = hn::IfThenElse(better, v, best);
        where = hn::IfThenElse(hn::RebindMask(d_int, better), hn::Set(d_int, position), where);
      }
    }
    store(best, d, y + c);
    hn::StoreU(hn::DemoteTo(d_byte, where), d_byte, argmax + c);
  });
}

void max_window(const Elements& x, int64_t rows, int64_t columns, int64_t row_step, int64_t channels,
                int32_t first, int32_t position_step, const Elements& y, uint8_t* argmax) {
  with_element(x.dtype, [&]<class T>(T) {
    max_window_of(x.as<T>(), rows, columns, row_step, channels, first, position_step, y.as<T>(), argmax);
  });
}

/// dx += dy where argmax == position.
void scatter_max(const Elements& dy, const uint8_t* argmax, int32_t position, int64_t channels, float* dx) {
  with_element(dy.dtype, [&]<class T>(T) HWY_ATTR {
    for_vectors(0, channels, [&](auto d, int64_t c) HWY_ATTR {
      const hn::RebindToSigned<decltype(d)> d_int;
      const hn::Rebind<uint8_t, decltype(d)> d_byte;
      const auto where = hn::PromoteTo(d_int, hn::LoadU(d_byte, argmax + c));
      const auto chosen = hn::RebindMask(d, hn::Eq(where, hn::Set(d_int, position)));
      const auto g = hn::IfThenElseZero(chosen, load(d, dy.as<T>() + c));
      hn::StoreU(hn::Add(hn::LoadU(d, dx + c), g), d, dx + c);
    });
  });
}

/// y = factor * sum of the pixels of a window; one vector of channels at a time, so that the sum stays in a
/// register.
void average_window(const Elements& x, int64_t rows, int64_t columns, int64_t row_step, int64_t channels,
                    float factor, const Elements& y) {
  with_element(x.dtype, [&]<class T>(T) HWY_ATTR {
    for_vectors(0, channels, [&](auto d, int64_t c) HWY_ATTR {
      auto sum = hn::Zero(d);
      for (int64_t r = 0; r < rows; ++r) {
        for (int64_t k = 0; k < columns; ++k)
          sum = hn::Add(sum, load(d, x.as<T>() + r * row_step + k * channels + c));
      }
      store(hn::Mul(sum, hn::Set(d, factor)), d, y.as<T>() + c);
    });
  });
}

/// y += factor x.
void add_scaled(const Elements& x, float factor, int64_t n, float* y) {
  with_element(x.dtype, [&]<class T>(T) HWY_ATTR {
    for_vectors(0, n, [&](auto d, int64_t i) HWY_ATTR {
      hn::StoreU(hn::MulAdd(load(d, x.as<T>() + i), hn::Set(d, factor), hn::LoadU(d, y + i)), d, y + i);
    });
  });
}

void round(const float* x, int64_t n, const Elements& y) {
  with_element(y.dtype, [&]<class T>(T) HWY_ATTR {
    for_vectors(0, n, [&](auto d, int64_t i) HWY_ATTR { store(hn::LoadU(d, x + i), d, y.as<T>() + i); });
  });
}

}  // namespace
}  // namespace trainer::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace trainer::cpu {
namespace {

HWY_EXPORT(max_window);
HWY_EXPORT(scatter_max);
HWY_EXPORT(average_window);
HWY_EXPORT(add_scaled);
HWY_EXPORT(round);

using ops::Pool2dArgs;

/// One axis of a window: inputs [begin, end) are inside, the first of them is position `skipped` of the
/// kernel.
struct Extent {
  int64_t begin, end, skipped;
  int64_t counted;  ///< positions that count in a divisor which includes padding
  int64_t size() const { return end - begin; }
};
Extent extent(int64_t out, int64_t in_size, int64_t kernel, int64_t stride, int64_t padding) {
  const int64_t start = out * stride - padding;
  const int64_t begin = std::max<int64_t>(start, 0), end = std::min(start + kernel, in_size);
  return {begin, end, begin - start, std::min(start + kernel, in_size + padding) - start};
}

/// Outputs [begin, end) whose windows contain input `in`.
struct Reach {
  int64_t begin, end;
};
Reach windows_over(int64_t in, int64_t out_size, int64_t kernel, int64_t stride, int64_t padding) {
  const int64_t last = (in + padding) / stride;
  const int64_t before = in + padding - kernel;  // the last start that does not reach `in` yet
  const int64_t first = before < 0 ? 0 : before / stride + 1;
  return {first, std::min(last + 1, out_size)};
}

/// Where the gradient of a pixel is summed: in place, or in f32 beside a tensor of 16 bits.
class PixelSum {
 public:
  PixelSum(const Elements& dx, int64_t channels)
      : dx_(dx),
        channels_(channels),
        scratch_(scratch_bytes(dx, channels) == 0
                     ? Storage()
                     : Storage(static_cast<size_t>(scratch_bytes(dx, channels)), Device{})) {}
  static int64_t scratch_bytes(const Elements& dx, int64_t channels) {
    return dx.dtype == DType::f32 ? 0 : channels * static_cast<int64_t>(sizeof(float));
  }
  float* begin(int64_t pixel) {
    to_ = dx_.from(pixel * channels_);
    sum_ = dx_.dtype == DType::f32 ? to_.as<float>() : reinterpret_cast<float*>(scratch_.data());
    std::fill_n(sum_, channels_, 0.0F);
    return sum_;
  }
  void end() {
    if (dx_.dtype != DType::f32) HWY_DYNAMIC_DISPATCH(round)(sum_, channels_, to_);
  }

 private:
  Elements dx_, to_{nullptr};
  int64_t channels_;
  Storage scratch_;
  float* sum_ = nullptr;
};

/// Calls row(n, h, mine) in parallel for the rows of a map [N, H, W, C]; `work` is the cost of an element of
/// it, and `mine` what of_thread() made for all rows that a thread takes.
template <class OfThread, class Row>
void over_rows(const Shape& s, int64_t work, const OfThread& of_thread, const Row& row) {
  parallel_for(s[0] * s[1], chunks_of(elementwise_grain, std::max<int64_t>(s[2] * s[3] * work, 1)),
               [&](int64_t begin, int64_t end) {
                 auto mine = of_thread();
                 for (int64_t i = begin; i < end; ++i) row(i / s[1], i % s[1], mine);
               });
}

/// Calls window(h, w, in, out) for each output pixel: its window's extents, and where the first pixel of the
/// window and the output lie.
template <class Window>
void over_windows(const Shape& x, const Pool2dArgs& a, const Shape& y, const Window& window) {
  const auto nothing = [] { return 0; };
  over_rows(y, a.kernel.h * a.kernel.w, nothing, [&](int64_t n, int64_t oh, int) {
    const Extent h = extent(oh, x[1], a.kernel.h, a.stride.h, a.padding.h);
    for (int64_t ow = 0; ow < y[2]; ++ow) {
      const Extent w = extent(ow, x[2], a.kernel.w, a.stride.w, a.padding.w);
      window(h, w, ((n * x[1] + h.begin) * x[2] + w.begin) * x[3], ((n * y[1] + oh) * y[2] + ow) * x[3]);
    }
  });
}

/// Sums for each input pixel (h, w) what the windows over it send: add(oh, ow, h, w, out, sum) for each of
/// them, whose output lies at `out`.
template <class Add>
void gather(const Elements& pdx, const Shape& dx, const Pool2dArgs& a, const Shape& dy, const Add& add) {
  const auto sum_of_thread = [&] { return PixelSum(pdx, dx[3]); };
  reserve_for_threads(PixelSum::scratch_bytes(pdx, dx[3]));
  over_rows(dx, 1, sum_of_thread, [&](int64_t n, int64_t h, PixelSum& sum) {
    const Reach oh = windows_over(h, dy[1], a.kernel.h, a.stride.h, a.padding.h);
    for (int64_t w = 0; w < dx[2]; ++w) {
      const Reach ow = windows_over(w, dy[2], a.kernel.w, a.stride.w, a.padding.w);
      float* pixel = sum.begin((n * dx[1] + h) * dx[2] + w);
      for (int64_t i = oh.begin; i < oh.end; ++i) {
        for (int64_t j = ow.begin; j < ow.end; ++j)
          add(i, j, h, w, ((n * dy[1] + i) * dy[2] + j) * dx[3], pixel);
      }
      sum.end();
    }
  });
}

void max_pool2d(const Tensor& x, const Pool2dArgs& a, Tensor& y, Tensor& argmax) {
  const Elements px(ops::MaxPool2d::name, x), py(ops::MaxPool2d::name, y);
  auto* positions = argmax.data<uint8_t>();
  const int64_t width = x.size(2), channels = x.size(3);
  over_windows(x.shape(), a, y.shape(), [&](const Extent& h, const Extent& w, int64_t in, int64_t out) {
    const auto first = static_cast<int32_t>(h.skipped * a.kernel.w + w.skipped);
    HWY_DYNAMIC_DISPATCH(max_window)
    (px.from(in), h.size(), w.size(), width * channels, channels, first, static_cast<int32_t>(a.kernel.w),
     py.from(out), positions + out);
  });
}

void max_pool2d_backward(const Tensor& dy, const Tensor& argmax, const Pool2dArgs& a, Tensor& dx) {
  const Elements g(ops::MaxPool2dBackward::name, dy), pdx(ops::MaxPool2dBackward::name, dx);
  const auto* positions = argmax.data<uint8_t>();
  gather(pdx, dx.shape(), a, dy.shape(),
         [&](int64_t oh, int64_t ow, int64_t h, int64_t w, int64_t out, float* sum) {
           const int64_t kh = h + a.padding.h - oh * a.stride.h, kw = w + a.padding.w - ow * a.stride.w;
           HWY_DYNAMIC_DISPATCH(scatter_max)
           (g.from(out), positions + out, static_cast<int32_t>(kh * a.kernel.w + kw), dx.size(3), sum);
         });
}

/// 1 / the divisor of a window.
float average_factor(const Pool2dArgs& a, const Extent& h, const Extent& w) {
  const int64_t divisor = a.count_include_pad ? h.counted * w.counted : h.size() * w.size();
  return static_cast<float>(1.0 / static_cast<double>(divisor));
}

void avg_pool2d(const Tensor& x, const Pool2dArgs& a, Tensor& y) {
  const Elements px(ops::AvgPool2d::name, x), py(ops::AvgPool2d::name, y);
  const int64_t width = x.size(2), channels = x.size(3);
  over_windows(x.shape(), a, y.shape(), [&](const Extent& h, const Extent& w, int64_t in, int64_t out) {
    HWY_DYNAMIC_DISPATCH(average_window)
    (px.from(in), h.size(), w.size(), width * channels, channels, average_factor(a, h, w), py.from(out));
  });
}

void avg_pool2d_backward(const Tensor& dy, const Pool2dArgs& a, Tensor& dx) {
  const Elements g(ops::AvgPool2dBackward::name, dy), pdx(ops::AvgPool2dBackward::name, dx);
  gather(pdx, dx.shape(), a, dy.shape(),
         [&](int64_t oh, int64_t ow, int64_t, int64_t, int64_t out, float* sum) {
           const Extent h = extent(oh, dx.size(1), a.kernel.h, a.stride.h, a.padding.h);
           const Extent w = extent(ow, dx.size(2), a.kernel.w, a.stride.w, a.padding.w);
           HWY_DYNAMIC_DISPATCH(add_scaled)(g.from(out), average_factor(a, h, w), dx.size(3), sum);
         });
}

/// Calls image(n) in parallel for images of `elements` elements.
template <class Image>
void over_images(int64_t images, int64_t elements, const Image& image) {
  parallel_for(images, chunks_of(elementwise_grain, std::max<int64_t>(elements, 1)),
               [&](int64_t begin, int64_t end) {
                 for (int64_t n = begin; n < end; ++n) image(n);
               });
}

void global_avg_pool(const Tensor& x, Tensor& y) {
  const Elements px(ops::GlobalAvgPool::name, x), py(ops::GlobalAvgPool::name, y);
  const int64_t channels = y.size(1), positions = x.shape().drop_front().rows();
  const auto factor = static_cast<float>(1.0 / static_cast<double>(positions));
  over_images(y.size(0), positions * channels, [&](int64_t n) {
    HWY_DYNAMIC_DISPATCH(average_window)
    (px.from(n * positions * channels), 1, positions, channels * positions, channels, factor,
     py.from(n * channels));
  });
}

void global_avg_pool_backward(const Tensor& dy, Tensor& dx) {
  const Elements g(ops::GlobalAvgPoolBackward::name, dy), pdx(ops::GlobalAvgPoolBackward::name, dx);
  const int64_t channels = dy.size(1), positions = dx.shape().drop_front().rows();
  const auto factor = static_cast<float>(1.0 / static_cast<double>(positions));
  over_images(dy.size(0), positions * channels, [&](int64_t n) {
    const Elements first = pdx.from(n * positions * channels);
    HWY_DYNAMIC_DISPATCH(average_window)(g.from(n * channels), 1, 1, channels, channels, factor, first);
    const size_t bytes = static_cast<size_t>(channels) * size_of(first.dtype);
    for (int64_t i = 1; i < positions; ++i) std::memcpy(first.from(i * channels).data, first.data, bytes);
  });
}

[[maybe_unused]] const bool added[] = {
    add_kernel<ops::MaxPool2d, max_pool2d, f32_and_bf16>(),
    add_kernel<ops::MaxPool2dBackward, max_pool2d_backward, f32_and_bf16>(),
    add_kernel<ops::AvgPool2d, avg_pool2d, f32_and_bf16>(),
    add_kernel<ops::AvgPool2dBackward, avg_pool2d_backward, f32_and_bf16>(),
    add_kernel<ops::GlobalAvgPool, global_avg_pool, f32_and_bf16>(),
    add_kernel<ops::GlobalAvgPoolBackward, global_avg_pool_backward, f32_and_bf16>(),
};

}  // namespace
}  // namespace trainer::cpu
#endif
