#include "lib/ops/conv.h"

#include "lib/backend/ref/ref.h"

namespace trainer::ref {
namespace {

using ops::Conv2dArgs;

/// Calls f(i, j, k) for every term x[j] w[k] of every y[i]. Forward sums them by i, the backward passes the
/// same terms by j and by k.
template <class F>
void for_each_term(const Shape& x, const Shape& w, const Shape& y, const Conv2dArgs& a, F&& f) {
  const int64_t height = x[1], width = x[2], channels = x[3];
  const int64_t kernel_h = w[1], kernel_w = w[2], group_in = w[3];
  const int64_t group_out = w[0] / a.groups;
  int64_t i = 0;
  for (int64_t n = 0; n < y[0]; ++n) {
    for (int64_t oh = 0; oh < y[1]; ++oh) {
      for (int64_t ow = 0; ow < y[2]; ++ow) {
        for (int64_t o = 0; o < y[3]; ++o, ++i) {
          const int64_t first_channel = o / group_out * group_in;
          for (int64_t kh = 0; kh < kernel_h; ++kh) {
            const int64_t h = oh * a.stride.h - a.padding.h + kh * a.dilation.h;
            if (h < 0 || h >= height) continue;
            for (int64_t kw = 0; kw < kernel_w; ++kw) {
              const int64_t v = ow * a.stride.w - a.padding.w + kw * a.dilation.w;
              if (v < 0 || v >= width) continue;
              const int64_t j = ((n * height + h) * width + v) * channels + first_channel;
              const int64_t k = ((o * kernel_h + kh) * kernel_w + kw) * group_in;
              for (int64_t c = 0; c < group_in; ++c) f(i, j + c, k + c);
            }
          }
        }
      }
    }
  }
}

void conv2d(const Tensor& x, const Tensor& w, const Tensor& bias, const Conv2dArgs& args, Tensor& y) {
  visit_real(ops::Conv2d::name, x, [&]<class T>(T) {
    const T *px = x.data<T>(), *pw = w.data<T>();
    Sums sums = sums_for(y);
    if (bias.defined()) {
      const int64_t channels = y.size(3);
      for (int64_t i = 0; i < y.numel(); ++i) sums[i] = bias.data<T>()[i % channels];
    }
    for_each_term(x.shape(), w.shape(), y.shape(), args,
                  [&](int64_t i, int64_t j, int64_t k) { sums[i] += double{px[j]} * double{pw[k]}; });
    store<T>(sums, y);
  });
}

void conv2d_backward_data(const Tensor& dy, const Tensor& w, const Conv2dArgs& args, Tensor& dx) {
  visit_real(ops::Conv2dBackwardData::name, dy, [&]<class T>(T) {
    const T *g = dy.data<T>(), *pw = w.data<T>();
    Sums sums = sums_for(dx);
    for_each_term(dx.shape(), w.shape(), dy.shape(), args,
                  [&](int64_t i, int64_t j, int64_t k) { sums[j] += double{g[i]} * double{pw[k]}; });
    store<T>(sums, dx);
  });
}

void conv2d_backward_weight(const Tensor& dy, const Tensor& x, const Conv2dArgs& args, Tensor& dw,
                            Tensor& dbias) {
  visit_real(ops::Conv2dBackwardWeight::name, dy, [&]<class T>(T) {
    const T *g = dy.data<T>(), *px = x.data<T>();
    Sums sums = sums_for(dw);
    for_each_term(x.shape(), dw.shape(), dy.shape(), args,
                  [&](int64_t i, int64_t j, int64_t k) { sums[k] += double{g[i]} * double{px[j]}; });
    store<T>(sums, dw);
    if (dbias.defined()) sum_rows<T>(dy, dbias);
  });
}

constexpr auto ref = Device::Kind::ref;
[[maybe_unused]] const bool added[] = {
    Kernels<ops::Conv2d>::add(ref, conv2d),
    Kernels<ops::Conv2dBackwardData>::add(ref, conv2d_backward_data),
    Kernels<ops::Conv2dBackwardWeight>::add(ref, conv2d_backward_weight),
};

}  // namespace
}  // namespace trainer::ref
