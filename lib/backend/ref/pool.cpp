#include "lib/ops/pool.h"

#include <cmath>

#include "lib/backend/ref/ref.h"

namespace trainer::ref {
namespace {

using ops::Pool2dArgs;

/// Calls visit(i, j, position) for each output element i and each input element j in its window, in the order
/// of the window, then finish(i, size) with the window's size, which counts padding but not what ceil_mode
/// adds beyond it.
template <class Visit, class Finish>
void for_each_window(const Shape& x, const Shape& y, const Pool2dArgs& a, Visit&& visit, Finish&& finish) {
  int64_t i = 0;
  for (int64_t n = 0; n < y[0]; ++n) {
    for (int64_t oh = 0; oh < y[1]; ++oh) {
      for (int64_t ow = 0; ow < y[2]; ++ow) {
        const int64_t top = oh * a.stride.h - a.padding.h, left = ow * a.stride.w - a.padding.w;
        const int64_t rows = std::min(a.kernel.h, x[1] + a.padding.h - top);
        const int64_t columns = std::min(a.kernel.w, x[2] + a.padding.w - left);
        for (int64_t c = 0; c < y[3]; ++c, ++i) {
          for (int64_t kh = 0; kh < a.kernel.h; ++kh) {
            for (int64_t kw = 0; kw < a.kernel.w; ++kw) {
              const int64_t h = top + kh, w = left + kw;
              if (h < 0 || h >= x[1] || w < 0 || w >= x[2]) continue;
              visit(i, ((n * x[1] + h) * x[2] + w) * x[3] + c, kh * a.kernel.w + kw);
            }
          }
          finish(i, rows * columns);
        }
      }
    }
  }
}

void max_pool2d(const Tensor& x, const Pool2dArgs& args, Tensor& y, Tensor& argmax) {
  visit_real(ops::MaxPool2d::name, x, [&]<class T>(T) {
    const T* px = x.data<T>();
    T* py = y.data<T>();
    uint8_t* positions = argmax.data<uint8_t>();
    bool first = true;
    for_each_window(
        x.shape(), y.shape(), args,
        [&](int64_t i, int64_t j, int64_t position) {
          if (!first && !(px[j] > py[i]) && !std::isnan(px[j])) return;
          py[i] = px[j];
          positions[i] = static_cast<uint8_t>(position);
          first = false;
        },
        [&](int64_t, int64_t) { first = true; });
  });
}

void max_pool2d_backward(const Tensor& dy, const Tensor& argmax, const Pool2dArgs& args, Tensor& dx) {
  visit_real(ops::MaxPool2dBackward::name, dy, [&]<class T>(T) {
    const T* g = dy.data<T>();
    const uint8_t* positions = argmax.data<uint8_t>();
    Sums sums = sums_for(dx);
    for_each_window(
        dx.shape(), dy.shape(), args,
        [&](int64_t i, int64_t j, int64_t position) {
          if (position == positions[i]) sums[j] += g[i];
        },
        [](int64_t, int64_t) {});
    store<T>(sums, dx);
  });
}

void avg_pool2d(const Tensor& x, const Pool2dArgs& args, Tensor& y) {
  visit_real(ops::AvgPool2d::name, x, [&]<class T>(T) {
    const T* px = x.data<T>();
    double sum = 0;
    int64_t seen = 0;
    for_each_window(
        x.shape(), y.shape(), args,
        [&](int64_t, int64_t j, int64_t) {
          sum += px[j];
          ++seen;
        },
        [&](int64_t i, int64_t size) {
          y.data<T>()[i] = static_cast<T>(sum / static_cast<double>(args.count_include_pad ? size : seen));
          sum = 0;
          seen = 0;
        });
  });
}

void avg_pool2d_backward(const Tensor& dy, const Pool2dArgs& args, Tensor& dx) {
  visit_real(ops::AvgPool2dBackward::name, dy, [&]<class T>(T) {
    const T* g = dy.data<T>();
    Sums sums = sums_for(dx);
    std::vector<int64_t> window;
    for_each_window(
        dx.shape(), dy.shape(), args, [&](int64_t, int64_t j, int64_t) { window.push_back(j); },
        [&](int64_t i, int64_t size) {
          const auto divisor =
              static_cast<double>(args.count_include_pad ? size : static_cast<int64_t>(window.size()));
          for (const int64_t j : window) sums[j] += g[i] / divisor;
          window.clear();
        });
    store<T>(sums, dx);
  });
}

void global_avg_pool(const Tensor& x, Tensor& y) {
  const int64_t channels = y.size(1);
  const int64_t positions = x.shape().drop_front().rows();
  visit_real(ops::GlobalAvgPool::name, x, [&]<class T>(T) {
    const T* px = x.data<T>();
    Sums sums = sums_for(y);
    for (int64_t i = 0; i < x.numel(); ++i)
      sums[i / (positions * channels) * channels + i % channels] += px[i];
    for (double& sum : sums) sum /= static_cast<double>(positions);
    store<T>(sums, y);
  });
}

void global_avg_pool_backward(const Tensor& dy, Tensor& dx) {
  const int64_t channels = dy.size(1);
  const int64_t positions = dx.shape().drop_front().rows();
  visit_real(ops::GlobalAvgPoolBackward::name, dy, [&]<class T>(T) {
    const T* g = dy.data<T>();
    T* pdx = dx.data<T>();
    for (int64_t i = 0; i < dx.numel(); ++i) {
      pdx[i] = static_cast<T>(g[i / (positions * channels) * channels + i % channels] /
                              static_cast<double>(positions));
    }
  });
}

constexpr auto ref = Device::Kind::ref;
[[maybe_unused]] const bool added[] = {
    Kernels<ops::MaxPool2d>::add(ref, max_pool2d),
    Kernels<ops::MaxPool2dBackward>::add(ref, max_pool2d_backward),
    Kernels<ops::AvgPool2d>::add(ref, avg_pool2d),
    Kernels<ops::AvgPool2dBackward>::add(ref, avg_pool2d_backward),
    Kernels<ops::GlobalAvgPool>::add(ref, global_avg_pool),
    Kernels<ops::GlobalAvgPoolBackward>::add(ref, global_avg_pool_backward),
};

}  // namespace
}  // namespace trainer::ref
