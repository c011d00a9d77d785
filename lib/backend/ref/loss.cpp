#include "lib/ops/loss.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "lib/backend/ref/ref.h"

namespace trainer::ref {
namespace {

using ops::CrossEntropyArgs;

/// The smoothed target of row n and class k.
template <class T>
double target_at(const Tensor& target, const CrossEntropyArgs& args, int64_t n, int64_t k, int64_t classes) {
  const bool hard = target.dtype() == DType::i64;
  const double t =
      hard ? static_cast<double>(target.data<int64_t>()[n] == k) : double{target.data<T>()[n * classes + k]};
  return (1 - args.label_smoothing) * t + args.label_smoothing / static_cast<double>(classes);
}

/// log sum_k exp(row[k]), relative to the largest element, so that nothing overflows.
template <class T>
double log_sum_exp_of(const T* row, int64_t classes) {
  double largest = -std::numeric_limits<double>::infinity(), sum = 0;
  for (int64_t k = 0; k < classes; ++k) largest = std::max(largest, double{row[k]});
  for (int64_t k = 0; k < classes; ++k) sum += std::exp(row[k] - largest);
  return largest + std::log(sum);
}

void cross_entropy(const Tensor& logits, const Tensor& target, const CrossEntropyArgs& args, Tensor& loss,
                   Tensor& log_sum_exp) {
  const int64_t rows = logits.size(0), classes = logits.size(1);
  visit_real(ops::SoftmaxCrossEntropy::name, logits, [&]<class T>(T) {
    double sum = 0;
    for (int64_t n = 0; n < rows; ++n) {
      const T* row = logits.data<T>() + n * classes;
      const double lse = log_sum_exp_of(row, classes);
      log_sum_exp.data<T>()[n] = static_cast<T>(lse);
      for (int64_t k = 0; k < classes; ++k) {
        const double t = target_at<T>(target, args, n, k, classes);
        if (t != 0) sum += t * (lse - row[k]);  // not 0 * inf for a class whose logit is -inf
      }
    }
    loss.data<T>()[0] = static_cast<T>(sum / static_cast<double>(rows));
  });
}

void cross_entropy_backward(const Tensor& dloss, const Tensor& logits, const Tensor& target,
                            const Tensor& log_sum_exp, const CrossEntropyArgs& args, Tensor& dlogits) {
  const int64_t rows = logits.size(0), classes = logits.size(1);
  visit_real(ops::SoftmaxCrossEntropyBackward::name, logits, [&]<class T>(T) {
    const double factor = dloss.data<T>()[0] / static_cast<double>(rows);
    for (int64_t n = 0; n < rows; ++n) {
      const double lse = log_sum_exp.data<T>()[n];
      double mass = 0;
      for (int64_t k = 0; k < classes; ++k) mass += target_at<T>(target, args, n, k, classes);
      for (int64_t k = 0; k < classes; ++k) {
        const double softmax = std::exp(logits.data<T>()[n * classes + k] - lse);
        const double t = target_at<T>(target, args, n, k, classes);
        dlogits.data<T>()[n * classes + k] = static_cast<T>(factor * (softmax * mass - t));
      }
    }
  });
}

void mse(const Tensor& prediction, const Tensor& target, Tensor& loss) {
  visit_real(ops::Mse::name, prediction, [&]<class T>(T) {
    double sum = 0;
    for (int64_t i = 0; i < prediction.numel(); ++i) {
      const double d = double{prediction.data<T>()[i]} - target.data<T>()[i];
      sum += d * d;
    }
    loss.data<T>()[0] = static_cast<T>(sum / static_cast<double>(prediction.numel()));
  });
}

void mse_backward(const Tensor& dloss, const Tensor& prediction, const Tensor& target, Tensor& dprediction) {
  visit_real(ops::MseBackward::name, prediction, [&]<class T>(T) {
    const double factor = 2 * double{dloss.data<T>()[0]} / static_cast<double>(prediction.numel());
    for (int64_t i = 0; i < prediction.numel(); ++i) {
      const double d = double{prediction.data<T>()[i]} - target.data<T>()[i];
      dprediction.data<T>()[i] = static_cast<T>(factor * d);
    }
  });
}

constexpr auto ref = Device::Kind::ref;
[[maybe_unused]] const bool added[] = {
    Kernels<ops::SoftmaxCrossEntropy>::add(ref, cross_entropy),
    Kernels<ops::SoftmaxCrossEntropyBackward>::add(ref, cross_entropy_backward),
    Kernels<ops::Mse>::add(ref, mse),
    Kernels<ops::MseBackward>::add(ref, mse_backward),
};

}  // namespace
}  // namespace trainer::ref
