#include "lib/ops/matmul.h"

#include "lib/backend/ref/activation.h"
#include "lib/backend/ref/gelu.h"
#include "lib/backend/ref/ref.h"

namespace trainer::ref {
namespace {

void linear(const Tensor& x, const Tensor& w, const Tensor& bias, ops::Activation activation, Tensor& y) {
  const int64_t rows = x.shape().front(x.rank() - 1).numel(), in = w.size(1), out = w.size(0);
  visit_real(ops::Linear::name, x, [&]<class T>(T) {
    const T *px = x.data<T>(), *pw = w.data<T>();
    T* py = y.data<T>();
    for (int64_t r = 0; r < rows; ++r) {
      for (int64_t o = 0; o < out; ++o) {
        double sum = bias.defined() ? bias.data<T>()[o] : 0;
        for (int64_t i = 0; i < in; ++i) sum += double{px[r * in + i]} * double{pw[o * in + i]};
        py[r * out + o] = static_cast<T>(activate(activation, sum));
      }
    }
  });
}

void linear_gelu(const Tensor& x, const Tensor& w, const Tensor& bias, ops::GeluForm form, Tensor& y,
                 Tensor& slope) {
  linear(x, w, bias, ops::Activation::none, y);
  gelu(y, form, y, slope);
}

void linear_backward_data(const Tensor& dy, const Tensor& w, Tensor& dx) {
  const int64_t rows = dy.shape().front(dy.rank() - 1).numel(), in = w.size(1), out = w.size(0);
  visit_real(ops::LinearBackwardData::name, dy, [&]<class T>(T) {
    const T *g = dy.data<T>(), *pw = w.data<T>();
    T* pdx = dx.data<T>();
    for (int64_t r = 0; r < rows; ++r) {
      for (int64_t i = 0; i < in; ++i) {
        double sum = 0;
        for (int64_t o = 0; o < out; ++o) sum += double{g[r * out + o]} * double{pw[o * in + i]};
        pdx[r * in + i] = static_cast<T>(sum);
      }
    }
  });
}

void linear_backward_weight(const Tensor& dy, const Tensor& x, Tensor& dw, Tensor& dbias) {
  const int64_t rows = x.shape().front(x.rank() - 1).numel(), in = dw.size(1), out = dw.size(0);
  visit_real(ops::LinearBackwardWeight::name, dy, [&]<class T>(T) {
    const T *g = dy.data<T>(), *px = x.data<T>();
    T* pdw = dw.data<T>();
    for (int64_t o = 0; o < out; ++o) {
      for (int64_t i = 0; i < in; ++i) {
        double sum = 0;
        for (int64_t r = 0; r < rows; ++r) sum += double{g[r * out + o]} * double{px[r * in + i]};
        pdw[o * in + i] = static_cast<T>(sum);
      }
    }
    if (dbias.defined()) sum_rows<T>(dy, dbias);
  });
}

void bias_backward(const Tensor& dy, Tensor& dbias) {
  visit_real(ops::BiasBackward::name, dy, [&]<class T>(T) { sum_rows<T>(dy, dbias); });
}

constexpr auto ref = Device::Kind::ref;
[[maybe_unused]] const bool added[] = {
    Kernels<ops::Linear>::add(ref, linear),
    Kernels<ops::LinearGelu>::add(ref, linear_gelu),
    Kernels<ops::LinearBackwardData>::add(ref, linear_backward_data),
    Kernels<ops::LinearBackwardWeight>::add(ref, linear_backward_weight),
    Kernels<ops::BiasBackward>::add(ref, bias_backward),
};

}  // namespace
}  // namespace trainer::ref
