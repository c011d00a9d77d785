// Batch normalisation (Ioffe and Szegedy, 2015) over the last axis, with optional residual addition and an
// activation fused in.
//
//   y = act(gamma (x - mean) rstd + beta [+ residual]),   rstd = 1 / sqrt(var + eps)
//
//   Moments m = ops::batch_norm_statistics(x);     // evaluation: the running moments instead
//   Tensor y = ops::batch_norm_apply(x, m, gamma, beta, residual, {.activation = Activation::relu});
//
// Forward and backward are two functions each: statistics and apply, reduce and apply. Evaluation needs the
// second only, and a batch that is spread over processes (SyncBN) an all-reduce between them.
#pragma once

#include "lib/ops/activation.h"
#include "lib/tensor/kernels.h"

namespace trainer::ops {

struct BatchNormArgs {
  double eps = 1e-5;
  Activation activation = Activation::none;
};

/// Mean and biased variance per channel: [C] each, f32 (f64 for f64).
struct Moments {
  Tensor mean, var;
};

/// Of x [..., C], over all but the last axis.
Moments batch_norm_statistics(const Tensor& x);

/// Moments of `count` rows as sums over these rows, sum x and sum x^2, f64 [2, C], and back: sums of the
/// parts of a batch can be added. In f64, sum x^2 / count - mean^2 is exact enough for f32 inputs.
Tensor batch_norm_sums(const Moments&, double count);
Moments batch_norm_moments(const Tensor& sums, double count, DType);

/// y as above, like x; `residual` is like x or undefined; gamma and beta [C] are f32 (f64 for f64).
Tensor batch_norm_apply(const Tensor& x, const Moments&, const Tensor& gamma, const Tensor& beta,
                        const Tensor& residual, const BatchNormArgs&);

/// dgamma = sum g xhat, dbeta = sum g, with g = dy times the activation's derivative and xhat = (x - mean)
/// rstd. `y` is only read if there is an activation.
void batch_norm_backward_reduce(const Tensor& dy, const Tensor& x, const Tensor& y, const Moments&,
                                const BatchNormArgs&, Tensor& dgamma, Tensor& dbeta);

/// dx = gamma rstd (g - sum_dy / count - xhat sum_dy_xhat / count), dresidual = g; each is written if it is
/// defined. Undefined sums mean that the statistics are constants (evaluation mode): dx = gamma rstd g.
void batch_norm_backward_apply(const Tensor& dy, const Tensor& x, const Tensor& y, const Moments&,
                               const Tensor& gamma, const Tensor& sum_dy_xhat, const Tensor& sum_dy,
                               double count, const BatchNormArgs&, Tensor& dx, Tensor& dresidual);

/// running = (1 - momentum) running + momentum batch; the variance enters unbiased (count / (count - 1)), as
/// in PyTorch. Batch values that are not finite are skipped: a NaN would stay in the average forever.
void batch_norm_update(const Moments&, double count, double momentum, Tensor& running_mean,
                       Tensor& running_var);

// The kernels of a backend (lib/tensor/kernels.h).

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

}  // namespace trainer::ops
