// Attention within the windows of a map, which may be shifted (Liu et al., Swin Transformer, 2021):
//
//   y = roll back(merge(attention(windows of roll(qkv, -shift), bias, shift mask)))
//
// qkv comes as one linear layer computes it over a map. No map is rolled or cut into windows in memory: where
// a window's tokens lie is arithmetic on indices (Windows, below), and so is the shift mask.
//
// The shift mask keeps apart what only the cyclic roll made neighbours: the last row and column of windows of
// the rolled map hold tokens from opposite edges, and -100 is added to the scores between those. (Not -inf:
// Swin's code and timm's add this, and weights were trained with it.)
//
// Windows have to divide the map. To other maps timm adds tokens of zeros, before the linear layer and below
// and to the right of the rolled map, and does not mask them; a model that wants this has to add them first.
#pragma once

#include "lib/ops/attention.h"
#include "lib/ops/conv.h"

namespace trainer::ops {

struct WindowAttentionArgs {
  Pair window;       ///< {Mh, Mw}, in tokens
  Pair shift = 0;    ///< in [0, window): usually none, or half a window
  double scale = 0;  ///< 0: 1 / sqrt(D)
};

struct WindowAttentionResult {
  Tensor y;    ///< [N, H, W, heads, D]
  Tensor lse;  ///< [N, windows, heads, L]: log-sum-exp of each row of scores, f32 (f64 for f64); for backward
};

/// qkv [N, H, W, 3, heads, D]; H is a multiple of Mh, W of Mw. `bias` [heads, L, L] with L = Mh Mw, f32 (f64
/// for f64) or undefined: ops::relative_position_bias.
WindowAttentionResult window_attention(const Tensor& qkv, const Tensor& bias, const WindowAttentionArgs&);

/// Writes dqkv [N, H, W, 3, heads, D] and, if it is defined, dbias [heads, L, L].
void window_attention_backward(const Tensor& dy, const Tensor& qkv, const Tensor& bias,
                               const WindowAttentionArgs&, const WindowAttentionResult&, Tensor& dqkv,
                               Tensor& dbias);

// For the kernels of a backend (lib/tensor/kernels.h).

inline constexpr double shift_mask = -100;

/// The windows of a map [N, H, W, ...], in row-major order, as are the tokens of each.
struct Windows {
  Windows(const Shape& map, const WindowAttentionArgs& args)
      : height(map[1]), width(map[2]), window(args.window), shift(args.shift) {}
  int64_t height, width;
  Pair window, shift;

  int64_t length() const { return window.h * window.w; }
  int64_t rows() const { return height / window.h; }
  int64_t columns() const { return width / window.w; }
  /// Of one sample.
  int64_t count() const { return rows() * columns(); }

  /// Where token i of window w lies in the map [H, W], row-major.
  int64_t token(int64_t w, int64_t i) const {
    const int64_t row = w / columns() * window.h + i / window.w;     // in the rolled map
    const int64_t column = w % columns() * window.w + i % window.w;  //
    return (row + shift.h) % height * width + (column + shift.w) % width;
  }

  /// Windows of the last row (2) and of the last column (1), or both (3), have tokens from opposite edges.
  int mask_kind(int64_t w) const {
    const bool last_row = shift.h > 0 && w / columns() == rows() - 1;
    const bool last_column = shift.w > 0 && w % columns() == columns() - 1;
    return 2 * last_row + last_column;
  }
  /// What is added to the score of tokens i and j in windows of a kind.
  double mask(int kind, int64_t i, int64_t j) const {
    const auto wrapped_row = [&](int64_t t) { return t / window.w >= window.h - shift.h; };
    const auto wrapped_column = [&](int64_t t) { return t % window.w >= window.w - shift.w; };
    const bool apart = ((kind & 2) != 0 && wrapped_row(i) != wrapped_row(j)) ||
                       ((kind & 1) != 0 && wrapped_column(i) != wrapped_column(j));
    return apart ? shift_mask : 0;
  }
};

// The kernels get a scale that is not 0.

struct WindowAttention {
  static constexpr std::string_view name = "window_attention";
  using Fn = void(const Tensor& qkv, const Tensor& bias, const WindowAttentionArgs&, Tensor& y, Tensor& lse);
  static double flops(const Tensor&, const Tensor&, const WindowAttentionArgs& args, const Tensor& y,
                      const Tensor&) {
    return attention_flops(y, args.window.h * args.window.w, 2);
  }
};
struct WindowAttentionBackward {
  static constexpr std::string_view name = "window_attention_backward";
  using Fn = void(const Tensor& dy, const Tensor& qkv, const Tensor& bias, const WindowAttentionArgs&,
                  const Tensor& y, const Tensor& lse, Tensor& dqkv, Tensor& dbias);
  static double flops(const Tensor& dy, const Tensor&, const Tensor&, const WindowAttentionArgs& args,
                      const Tensor&, const Tensor&, const Tensor&, const Tensor&) {
    return attention_flops(dy, args.window.h * args.window.w, 5);
  }
};

}  // namespace trainer::ops
