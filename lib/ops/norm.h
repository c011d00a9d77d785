// Batch normalisation (Ioffe and Szegedy, 2015) over the last axis, with optional residual addition and an
// activation fused in.
//
//   y = act(gamma (x - mean) rstd + beta [+ residual]),   rstd = 1 / sqrt(var + eps)
//
// It is four kernels instead of two: the statistics need a pass of their own anyway, evaluation is the second
// kernel with the running statistics, and a batch that is spread over processes (SyncBN) puts an all-reduce
// between the passes.
#pragma once

#include "lib/ops/activation.h"
#include "lib/tensor/kernels.h"

namespace trainer::ops {

struct BatchNormArgs {
  double eps = 1e-5;
  Activation activation = Activation::none;
};

struct BatchNormStatistics {
  static constexpr std::string_view name = "batch_norm_statistics";
  using Fn = void(const Tensor& x, Tensor& mean, Tensor& var);
};
struct BatchNormApply {
  static constexpr std::string_view name = "batch_norm_apply";
  using Fn = void(const Tensor& x, const Tensor& mean, const Tensor& var, const Tensor& gamma,
                  const Tensor& beta, const Tensor& residual, const BatchNormArgs&, Tensor& y);
};
struct BatchNormBackwardReduce {
  static constexpr std::string_view name = "batch_norm_backward_reduce";
  using Fn = void(const Tensor& dy, const Tensor& x, const Tensor& y, const Tensor& mean, const Tensor& var,
                  const BatchNormArgs&, Tensor& dgamma, Tensor& dbeta);
};
struct BatchNormBackwardApply {
  static constexpr std::string_view name = "batch_norm_backward_apply";
  using Fn = void(const Tensor& dy, const Tensor& x, const Tensor& y, const Tensor& mean, const Tensor& var,
                  const Tensor& gamma, const Tensor& sum_dy_xhat, const Tensor& sum_dy, double count,
                  const BatchNormArgs&, Tensor& dx, Tensor& dresidual);
};
struct BatchNormUpdate {
  static constexpr std::string_view name = "batch_norm_update";
  using Fn = void(const Tensor& mean, const Tensor& var, double count, double momentum, Tensor& running_mean,
                  Tensor& running_var);
};

struct BatchNormSums {
  static constexpr std::string_view name = "batch_norm_sums";
  using Fn = void(const Tensor& mean, const Tensor& var, double count, Tensor& sums);
};
struct BatchNormMoments {
  static constexpr std::string_view name = "batch_norm_moments";
  using Fn = void(const Tensor& sums, double count, Tensor& mean, Tensor& var);
};

/// Mean and biased variance of x [..., C] over all but the last axis: both [C], f32 (f64 for f64).
struct Moments {
  Tensor mean, var;
};
Moments batch_norm_statistics(const Tensor& x);

/// Moments of `count` rows as sums that add up over parts of a batch, and back: f64 [2, C], sum x and sum
/// x^2. In f64 the difference that gives the variance loses nothing that f32 inputs have.
Tensor batch_norm_sums(const Moments&, double count);
Moments batch_norm_moments(const Tensor& sums, double count, DType);

/// y as above; `residual` has the shape of x or is none; gamma and beta [C] are f32 (f64 for f64).
Tensor batch_norm_apply(const Tensor& x, const Moments&, const Tensor& gamma, const Tensor& beta,
                        const Tensor& residual, const BatchNormArgs&);

/// With g = dy times the activation's slope: dgamma = sum g xhat, dbeta = sum g. `y` is only read if there is
/// an activation.
void batch_norm_backward_reduce(const Tensor& dy, const Tensor& x, const Tensor& y, const Moments&,
                                const BatchNormArgs&, Tensor& dgamma, Tensor& dbeta);

/// dx = gamma rstd (g - sum_dy / count - xhat sum_dy_xhat / count), dresidual = g; each is written if it is
/// defined. Undefined sums mean that the statistics are constants (evaluation mode): dx = gamma rstd g.
void batch_norm_backward_apply(const Tensor& dy, const Tensor& x, const Tensor& y, const Moments&,
                               const Tensor& gamma, const Tensor& sum_dy_xhat, const Tensor& sum_dy,
                               double count, const BatchNormArgs&, Tensor& dx, Tensor& dresidual);

/// running = (1 - momentum) running + momentum batch; the variance enters unbiased (count / (count - 1)), as
/// in PyTorch. Batch values that are not finite are left out: NaN would stay for good.
void batch_norm_update(const Moments&, double count, double momentum, Tensor& running_mean,
                       Tensor& running_var);

}  // namespace trainer::ops
