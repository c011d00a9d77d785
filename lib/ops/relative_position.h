// The bias of attention within a window, looked up by the relative position of two tokens (Liu et al., Swin
// Transformer, 2021):
//
//   bias[h, i, j] = table[(row_i - row_j + Mh - 1) (2 Mw - 1) + column_i - column_j + Mw - 1, h]
//
// for the L = Mh Mw tokens of the window in row-major order; the table's rows lie as timm's
// relative_position_bias_table has them.
#pragma once

#include "lib/ops/conv.h"

namespace trainer::ops {

/// table [(2 Mh - 1) (2 Mw - 1), heads], f32 or f64, with window = {Mh, Mw} -> bias [heads, L, L].
Tensor relative_position_bias(const Tensor& table, Pair window);

/// Writes dtable: sums of dbias [heads, L, L] over all pairs of tokens that share a row of the table.
void relative_position_bias_backward(const Tensor& dbias, Pair window, Tensor& dtable);

// The kernels of a backend (lib/tensor/kernels.h).

struct RelativePositionBias {
  static constexpr std::string_view name = "relative_position_bias";
  using Fn = void(const Tensor& table, Pair window, Tensor& bias);
};
struct RelativePositionBiasBackward {
  static constexpr std::string_view name = "relative_position_bias_backward";
  using Fn = void(const Tensor& dbias, Pair window, Tensor& dtable);
};

}  // namespace trainer::ops
