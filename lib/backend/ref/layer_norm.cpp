#include "lib/ops/layer_norm.h"

#include <cmath>

#include "lib/backend/ref/ref.h"

namespace trainer::ref {
namespace {

void forward(const Tensor& x, const Tensor& residual, const Tensor& gamma, const Tensor& beta, double eps,
             Tensor& sum, Tensor& y, Tensor& mean, Tensor& rstd) {
  const int64_t channels = x.shape().back(), rows = x.numel() / channels;
  visit_real(ops::LayerNorm::name, x, [&]<class T>(T) {
    for (int64_t r = 0; r < rows; ++r) {
      const int64_t first = r * channels;
      if (residual.defined()) {
        for (int64_t i = first; i < first + channels; ++i)
          sum.data<T>()[i] = x.data<T>()[i] + residual.data<T>()[i];
      }
      const T* s = (residual.defined() ? sum : x).data<T>() + first;
      double m = 0, squares = 0;
      for (int64_t c = 0; c < channels; ++c) m += s[c];
      m /= static_cast<double>(channels);
      for (int64_t c = 0; c < channels; ++c) squares += (s[c] - m) * (s[c] - m);
      const double scale = 1 / std::sqrt(squares / static_cast<double>(channels) + eps);
      for (int64_t c = 0; c < channels; ++c) {
        y.data<T>()[first + c] =
            static_cast<T>(gamma.data<T>()[c] * ((s[c] - m) * scale) + beta.data<T>()[c]);
      }
      mean.data<T>()[r] = static_cast<T>(m);
      rstd.data<T>()[r] = static_cast<T>(scale);
    }
  });
}

void backward(const Tensor& dy, const Tensor& sum, const Tensor& mean, const Tensor& rstd,
              const Tensor& gamma, const Tensor& dsum, Tensor& dx, Tensor& dgamma, Tensor& dbeta) {
  const int64_t channels = sum.shape().back(), rows = sum.numel() / channels;
  Sums sum_dy_xhat(static_cast<size_t>(channels)), sum_dy(static_cast<size_t>(channels));
  visit_real(ops::LayerNormBackward::name, sum, [&]<class T>(T) {
    for (int64_t r = 0; r < rows; ++r) {
      const T *g = dy.data<T>() + r * channels, *s = sum.data<T>() + r * channels;
      const double scale = rstd.data<T>()[r];
      const auto xhat = [&](int64_t c) { return (double{s[c]} - mean.data<T>()[r]) * scale; };
      double first = 0, second = 0;  // means of gamma dy and of gamma dy xhat
      for (int64_t c = 0; c < channels; ++c) {
        first += double{gamma.data<T>()[c]} * g[c];
        second += double{gamma.data<T>()[c]} * g[c] * xhat(c);
        sum_dy_xhat[static_cast<size_t>(c)] += g[c] * xhat(c);
        sum_dy[static_cast<size_t>(c)] += g[c];
      }
      first /= static_cast<double>(channels);
      second /= static_cast<double>(channels);
      if (!dx.defined()) continue;
      for (int64_t c = 0; c < channels; ++c) {
        double d = scale * (double{gamma.data<T>()[c]} * g[c] - first - xhat(c) * second);
        if (dsum.defined()) d += dsum.data<T>()[r * channels + c];
        dx.data<T>()[r * channels + c] = static_cast<T>(d);
      }
    }
    if (!dgamma.defined()) return;
    store<T>(sum_dy_xhat, dgamma);
    store<T>(sum_dy, dbeta);
  });
}

[[maybe_unused]] const bool added[] = {
    Kernels<ops::LayerNorm>::add(Device::Kind::ref, forward),
    Kernels<ops::LayerNormBackward>::add(Device::Kind::ref, backward),
};

}  // namespace
}  // namespace trainer::ref
