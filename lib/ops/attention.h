// Scaled dot-product attention (Vaswani et al., 2017) over tokens of one sequence, for every head:
//
//   y = softmax(scale q k^T + bias + mask) v
//
// q, k and v come packed as a linear layer gives them, and their gradient goes back the same way: nothing is
// split or transposed in memory. The probabilities are not kept: backward computes them again from the
// logarithm of each row's sum, which costs one product of five and spares memory and its traffic.
#pragma once

#include "lib/tensor/kernels.h"

namespace trainer::ops {

struct AttentionArgs {
  double scale = 0;  ///< 0: 1 / sqrt(D)
};

struct Attention {
  static constexpr std::string_view name = "attention";
  using Fn = void(const Tensor& qkv, const Tensor& bias, const Tensor& mask, double scale, Tensor& y,
                  Tensor& lse);
};
struct AttentionBackward {
  static constexpr std::string_view name = "attention_backward";
  using Fn = void(const Tensor& dy, const Tensor& qkv, const Tensor& bias, const Tensor& mask, double scale,
                  const Tensor& y, const Tensor& lse, Tensor& dqkv, Tensor& dbias);
};

struct AttentionResult {
  Tensor y;    ///< [N, L, H, D]
  Tensor lse;  ///< [N, H, L]: log sum exp of a row of scores, f32 (f64 for f64)
};

/// qkv [N, L, 3, H, D]. `bias` [H, L, L] (relative positions) and `mask` [G, L, L] (N a multiple of G; sample
/// n has mask n % G, as windows of images do) are f32 (f64 for f64) or none. A row whose scores are all -inf
/// gives NaN.
AttentionResult attention(const Tensor& qkv, const Tensor& bias = {}, const Tensor& mask = {},
                          const AttentionArgs& = {});

/// Writes dqkv and, if it is defined, dbias.
void attention_backward(const Tensor& dy, const Tensor& qkv, const Tensor& bias, const Tensor& mask,
                        const AttentionArgs&, const AttentionResult&, Tensor& dqkv, Tensor& dbias);

}  // namespace trainer::ops
