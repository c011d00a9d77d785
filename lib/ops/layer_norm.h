// Layer normalisation (Ba, Kiros and Hinton, 2016) over the last axis, with the residual addition before it
// fused in.
//
//   s = x + residual                               (s = x without a residual)
//   y = gamma (s - mean) rstd + beta               mean and variance of each row, rstd = 1 / sqrt(var + eps)
//
// s is an output too: it is the next residual. The residual stream may have a wider dtype than the rest of
// the network: s has the residual's dtype, y that of `args`.
#pragma once

#include <optional>

#include "lib/tensor/kernels.h"

namespace trainer::ops {

struct LayerNormArgs {
  double eps = 1e-5;
  std::optional<DType> dtype = {};  ///< of y; nullopt: that of x
};

struct LayerNormResult {
  Tensor sum;         ///< s; x itself without a residual
  Tensor y;           ///< the shape of x
  Tensor mean, rstd;  ///< a value per row, in the shape of x without its last axis; f32 (f64 for f64)
};

/// x [..., C]; gamma and beta [C], f32 (f64 for f64); `residual` has x's shape and a dtype of its own, or is
/// undefined.
LayerNormResult layer_norm(const Tensor& x, const Tensor& residual, const Tensor& gamma, const Tensor& beta,
                           const LayerNormArgs& = {});

/// dx = rstd (g - mean(g) - xhat mean(g xhat)) + dsum, with g = gamma dy and xhat = (s - mean) rstd: the
/// gradient of s, and so of x and of the residual. `dsum`, the gradient of s from its other readers, is like
/// dx or undefined, and may be dx itself. dgamma = sum dy xhat, dbeta = sum dy. dx, or dgamma and dbeta
/// together, may be undefined.
void layer_norm_backward(const Tensor& dy, const LayerNormResult&, const Tensor& gamma, const Tensor& dsum,
                         Tensor& dx, Tensor& dgamma, Tensor& dbeta);

// The kernels of a backend (lib/tensor/kernels.h).

struct LayerNorm {
  static constexpr std::string_view name = "layer_norm";
  using Fn = void(const Tensor& x, const Tensor& residual, const Tensor& gamma, const Tensor& beta,
                  double eps, Tensor& sum, Tensor& y, Tensor& mean, Tensor& rstd);
};
struct LayerNormBackward {
  static constexpr std::string_view name = "layer_norm_backward";
  using Fn = void(const Tensor& dy, const Tensor& sum, const Tensor& mean, const Tensor& rstd,
                  const Tensor& gamma, const Tensor& dsum, Tensor& dx, Tensor& dgamma, Tensor& dbeta);
};

}  // namespace trainer::ops
