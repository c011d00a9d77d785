// Scaled dot-product attention (Vaswani et al., 2017) over tokens of one sequence, for every head:
//
//   y = softmax(scale q k^T + bias + mask) v
//
// q, k and v come packed in one tensor, as one linear layer computes them, and so does their gradient:
// nothing is split or transposed in memory. The probabilities are not kept. Backward computes them again from
// each row's log-sum-exp (Dao et al., FlashAttention, 2022): one more matrix product beside four, for O(L)
// memory instead of O(L^2).
#pragma once

#include "lib/tensor/kernels.h"

namespace trainer::ops {

struct AttentionArgs {
  double scale = 0;     ///< 0: 1 / sqrt(D)
  int64_t queries = 0;  ///< Q: the first Q tokens alone attend to all, as a class token may; 0: each of them
};

struct AttentionResult {
  Tensor y;    ///< [N, Q, H, D]
  Tensor lse;  ///< [N, H, Q]: log-sum-exp of each row of scores, f32 (f64 for f64); for backward
};

/// qkv [N, L, 3, H, D]: N sequences of L tokens, H heads of D channels. `bias` [H, L, L] (relative positions)
/// and `mask` [G, L, L] (sample n has mask n % G, so N is a multiple of G: the windows of a Swin transformer)
/// are f32 (f64 for f64) or undefined. A row whose scores are all -inf gives NaN.
AttentionResult attention(const Tensor& qkv, const Tensor& bias = {}, const Tensor& mask = {},
                          const AttentionArgs& = {});

/// Writes dqkv [N, L, 3, H, D] and, if it is defined, dbias [H, L, L]; both are 0 for queries after the first Q.
void attention_backward(const Tensor& dy, const Tensor& qkv, const Tensor& bias, const Tensor& mask,
                        const AttentionArgs&, const AttentionResult&, Tensor& dqkv, Tensor& dbias);

// The kernels of a backend (lib/tensor/kernels.h).

/// Of `products` matrix products [Q, D] x [D, L] for each sequence of L tokens and each head in y.
inline double attention_flops(const Tensor& y, int64_t length, double products) {
  return products * 2 * static_cast<double>(y.numel()) * static_cast<double>(length);
}
/// The scale that an op's argument stands for, with heads of `width` channels.
double attention_scale(std::string_view op, double scale, int64_t width);

struct Attention {
  static constexpr std::string_view name = "attention";
  using Fn = void(const Tensor& qkv, const Tensor& bias, const Tensor& mask, double scale, Tensor& y,
                  Tensor& lse);
  static double flops(const Tensor& qkv, const Tensor&, const Tensor&, double, const Tensor& y,
                      const Tensor&) {
    return attention_flops(y, qkv.size(1), 2);
  }
};
struct AttentionBackward {
  static constexpr std::string_view name = "attention_backward";
  using Fn = void(const Tensor& dy, const Tensor& qkv, const Tensor& bias, const Tensor& mask, double scale,
                  const Tensor& y, const Tensor& lse, Tensor& dqkv, Tensor& dbias);
  static double flops(const Tensor& dy, const Tensor& qkv, const Tensor&, const Tensor&, double,
                      const Tensor&, const Tensor&, const Tensor&, const Tensor&) {
    return attention_flops(dy, qkv.size(1), 5);
  }
};

}  // namespace trainer::ops
