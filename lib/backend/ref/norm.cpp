#include "lib/ops/norm.h"

#include <algorithm>
#include <cmath>

#include "lib/backend/ref/activation.h"
#include "lib/backend/ref/ref.h"

namespace trainer::ref {
namespace {

using ops::BatchNormArgs;

/// Two passes: the second sums squared differences from the mean, without cancellation. 0 rows give 0.
void statistics(const Tensor& x, Tensor& mean, Tensor& var) {
  const int64_t rows = x.shape().rows(), channels = x.shape().back();
  visit_real(ops::BatchNormStatistics::name, x, [&]<class T>(T) {
    const T* px = x.data<T>();
    for (int64_t c = 0; c < channels; ++c) {
      double sum = 0, squares = 0;
      for (int64_t r = 0; r < rows; ++r) sum += px[r * channels + c];
      const double m = rows == 0 ? 0 : sum / static_cast<double>(rows);
      for (int64_t r = 0; r < rows; ++r) squares += (px[r * channels + c] - m) * (px[r * channels + c] - m);
      mean.data<T>()[c] = static_cast<T>(m);
      var.data<T>()[c] = static_cast<T>(rows == 0 ? 0 : squares / static_cast<double>(rows));
    }
  });
}

void apply(const Tensor& x, const Tensor& mean, const Tensor& var, const Tensor& gamma, const Tensor& beta,
           const Tensor& residual, const BatchNormArgs& args, Tensor& y) {
  const int64_t channels = x.shape().back();
  visit_real(ops::BatchNormApply::name, x, [&]<class T>(T) {
    for (int64_t i = 0; i < x.numel(); ++i) {
      const int64_t c = i % channels;
      const double rstd = 1 / std::sqrt(var.data<T>()[c] + args.eps);
      const double xhat = (double{x.data<T>()[i]} - mean.data<T>()[c]) * rstd;
      double sum = gamma.data<T>()[c] * xhat + beta.data<T>()[c];
      if (residual.defined()) sum += residual.data<T>()[i];
      y.data<T>()[i] = static_cast<T>(activate(args.activation, sum));
    }
  });
}

/// The gradient with respect to the input of the activation.
template <class T>
double through_activation(const Tensor& dy, const Tensor& y, const BatchNormArgs& args, int64_t i) {
  if (args.activation == ops::Activation::none) return dy.data<T>()[i];  // y is undefined
  return activation_gradient(args.activation, dy.data<T>()[i], y.data<T>()[i]);
}

void backward_reduce(const Tensor& dy, const Tensor& x, const Tensor& y, const Tensor& mean,
                     const Tensor& var, const BatchNormArgs& args, Tensor& dgamma, Tensor& dbeta) {
  const int64_t channels = x.shape().back();
  visit_real(ops::BatchNormBackwardReduce::name, x, [&]<class T>(T) {
    Sums sum_dy_xhat = sums_for(dgamma), sum_dy = sums_for(dbeta);
    for (int64_t i = 0; i < x.numel(); ++i) {
      const int64_t c = i % channels;
      const double g = through_activation<T>(dy, y, args, i);
      const double rstd = 1 / std::sqrt(var.data<T>()[c] + args.eps);
      sum_dy_xhat[c] += g * (double{x.data<T>()[i]} - mean.data<T>()[c]) * rstd;
      sum_dy[c] += g;
    }
    store<T>(sum_dy_xhat, dgamma);
    store<T>(sum_dy, dbeta);
  });
}

void backward_apply(const Tensor& dy, const Tensor& x, const Tensor& y, const Tensor& mean, const Tensor& var,
                    const Tensor& gamma, const Tensor& sum_dy_xhat, const Tensor& sum_dy, double count,
                    const BatchNormArgs& args, Tensor& dx, Tensor& dresidual) {
  const int64_t channels = x.shape().back();
  visit_real(ops::BatchNormBackwardApply::name, x, [&]<class T>(T) {
    for (int64_t i = 0; i < x.numel(); ++i) {
      const int64_t c = i % channels;
      const double g = through_activation<T>(dy, y, args, i);
      if (dresidual.defined()) dresidual.data<T>()[i] = static_cast<T>(g);
      if (!dx.defined()) continue;
      const double rstd = 1 / std::sqrt(var.data<T>()[c] + args.eps);
      const double xhat = (double{x.data<T>()[i]} - mean.data<T>()[c]) * rstd;
      double d = g;
      if (sum_dy.defined()) d -= (sum_dy.data<T>()[c] + xhat * sum_dy_xhat.data<T>()[c]) / count;
      dx.data<T>()[i] = static_cast<T>(gamma.data<T>()[c] * rstd * d);
    }
  });
}

void update(const Tensor& mean, const Tensor& var, double count, double momentum, Tensor& running_mean,
            Tensor& running_var) {
  visit_real(ops::BatchNormUpdate::name, mean, [&]<class T>(T) {
    const auto blend = [&](T& running, double batch) {
      if (std::isfinite(batch)) running = static_cast<T>((1 - momentum) * running + momentum * batch);
    };
    for (int64_t c = 0; c < mean.numel(); ++c) {
      blend(running_mean.data<T>()[c], mean.data<T>()[c]);
      blend(running_var.data<T>()[c], var.data<T>()[c] * (count / (count - 1)));
    }
  });
}

void sums(const Tensor& mean, const Tensor& var, double count, Tensor& out) {
  const int64_t channels = mean.numel();
  double* sum = out.data<double>();
  double* squares = sum + channels;
  visit_real(ops::BatchNormSums::name, mean, [&]<class T>(T) {
    for (int64_t c = 0; c < channels; ++c) {
      const double m = mean.data<T>()[c];
      sum[c] = count * m;
      squares[c] = count * (var.data<T>()[c] + m * m);
    }
  });
}

void moments(const Tensor& in, double count, Tensor& mean, Tensor& var) {
  const int64_t channels = mean.numel();
  const double* sum = in.data<double>();
  const double* squares = sum + channels;
  visit_real(ops::BatchNormMoments::name, mean, [&]<class T>(T) {
    for (int64_t c = 0; c < channels; ++c) {
      const double m = sum[c] / count;
      mean.data<T>()[c] = static_cast<T>(m);
      var.data<T>()[c] = static_cast<T>(std::max(0.0, squares[c] / count - m * m));
    }
  });
}

constexpr auto ref = Device::Kind::ref;
[[maybe_unused]] const bool added[] = {
    Kernels<ops::BatchNormStatistics>::add(ref, statistics),
    Kernels<ops::BatchNormApply>::add(ref, apply),
    Kernels<ops::BatchNormBackwardReduce>::add(ref, backward_reduce),
    Kernels<ops::BatchNormBackwardApply>::add(ref, backward_apply),
    Kernels<ops::BatchNormUpdate>::add(ref, update),
    Kernels<ops::BatchNormSums>::add(ref, sums),
    Kernels<ops::BatchNormMoments>::add(ref, moments),
};

}  // namespace
}  // namespace trainer::ref
