// Losses. Each is a mean over its batch, a tensor of rank 0, f32 (f64 for f64 input). `dloss`, the gradient
// of the objective with respect to it, is like it: it carries loss scaling and the weight of a micro-batch.
#pragma once

#include "lib/tensor/kernels.h"

namespace trainer::ops {

/// Cross entropy of softmax(logits [N, K]) with a target: i64 [N] class indices, or f32 (f64 for f64) [N, K]
/// probabilities. Label smoothing s replaces a target t by (1 - s) t + s / K
/// (torch.nn.functional.cross_entropy).
struct CrossEntropyArgs {
  double label_smoothing = 0;
};

struct CrossEntropyResult {
  Tensor loss;
  Tensor log_sum_exp;  ///< [N]: log sum_k exp(logits[n, k]); for backward
};

/// A class index outside of [0, K) is Error(Exit::data) on host devices.
CrossEntropyResult softmax_cross_entropy(const Tensor& logits, const Tensor& target,
                                         const CrossEntropyArgs& = {});
/// dlogits = dloss / N (softmax(logits) sum_k t - t), t the row's smoothed target, whose sum is usually 1.
void softmax_cross_entropy_backward(const Tensor& dloss, const Tensor& logits, const Tensor& target,
                                    const Tensor& log_sum_exp, const CrossEntropyArgs&, Tensor& dlogits);

/// Mean over all elements of (prediction - target)^2; both have one shape and dtype.
Tensor mse(const Tensor& prediction, const Tensor& target);
void mse_backward(const Tensor& dloss, const Tensor& prediction, const Tensor& target, Tensor& dprediction);

// The kernels of a backend (lib/tensor/kernels.h).

struct SoftmaxCrossEntropy {
  static constexpr std::string_view name = "softmax_cross_entropy";
  using Fn = void(const Tensor& logits, const Tensor& target, const CrossEntropyArgs&, Tensor& loss,
                  Tensor& log_sum_exp);
};
struct SoftmaxCrossEntropyBackward {
  static constexpr std::string_view name = "softmax_cross_entropy_backward";
  using Fn = void(const Tensor& dloss, const Tensor& logits, const Tensor& target, const Tensor& log_sum_exp,
                  const CrossEntropyArgs&, Tensor& dlogits);
};
struct Mse {
  static constexpr std::string_view name = "mse";
  using Fn = void(const Tensor& prediction, const Tensor& target, Tensor& loss);
};
struct MseBackward {
  static constexpr std::string_view name = "mse_backward";
  using Fn = void(const Tensor& dloss, const Tensor& prediction, const Tensor& target, Tensor& dprediction);
};

}  // namespace trainer::ops
