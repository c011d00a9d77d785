// 2-D convolution (cross-correlation, as in torch.nn.functional.conv2d), channels last.
//
//   Tensor y = ops::conv2d(x, w, bias, {.stride = 2, .padding = 1});
//
//   x [N, H, W, C], w [O, KH, KW, C/groups], bias [O] or undefined  ->  y [N, OH, OW, O]
//   OH = (H + 2 padding - dilation (KH - 1) - 1) / stride + 1, rounded down; OW likewise.
//
// x and w have one floating dtype; the bias and the parameters' gradients may be f32 beside 16-bit ones.
// Arguments that do not fit together throw Error(Exit::internal) naming the op, the tensor and what was
// expected; so do those of all ops in this folder.
#pragma once

#include "lib/tensor/kernels.h"

namespace trainer::ops {

/// A value per spatial axis; one number stands for both.
struct Pair {
  int64_t h = 0, w = 0;
  constexpr Pair(int64_t both) : h(both), w(both) {}  // NOLINT: `.stride = 2`
  constexpr Pair(int64_t h_, int64_t w_) : h(h_), w(w_) {}
  bool operator==(const Pair&) const = default;
};

struct Conv2dArgs {
  Pair stride = 1, padding = 0, dilation = 1;
  int64_t groups = 1;
  bool operator==(const Conv2dArgs&) const = default;
};

/// The shape of y.
Shape conv2d_shape(const Shape& x, const Shape& w, const Conv2dArgs&);

Tensor conv2d(const Tensor& x, const Tensor& w, const Tensor& bias = {}, const Conv2dArgs& = {});
/// Writes dx [N, H, W, C].
void conv2d_backward_data(const Tensor& dy, const Tensor& w, const Conv2dArgs&, Tensor& dx);
/// Writes dw [O, KH, KW, C/groups] and, if it is defined, dbias [O].
void conv2d_backward_weight(const Tensor& dy, const Tensor& x, const Conv2dArgs&, Tensor& dw, Tensor& dbias);

// The kernels of a backend (lib/tensor/kernels.h).

/// Of the sums as they are defined, by each of the three ops: an addition and a product per element of y and
/// of one filter.
inline double conv2d_flops(const Tensor& y, const Tensor& w) {
  return 2.0 * static_cast<double>(y.numel()) * static_cast<double>(w.numel()) /
         static_cast<double>(w.size(0));
}

struct Conv2d {
  static constexpr std::string_view name = "conv2d";
  using Fn = void(const Tensor& x, const Tensor& w, const Tensor& bias, const Conv2dArgs&, Tensor& y);
  static double flops(const Tensor&, const Tensor& w, const Tensor&, const Conv2dArgs&, const Tensor& y) {
    return conv2d_flops(y, w);
  }
};
struct Conv2dBackwardData {
  static constexpr std::string_view name = "conv2d_backward_data";
  using Fn = void(const Tensor& dy, const Tensor& w, const Conv2dArgs&, Tensor& dx);
  static double flops(const Tensor& dy, const Tensor& w, const Conv2dArgs&, const Tensor&) {
    return conv2d_flops(dy, w);
  }
};
struct Conv2dBackwardWeight {
  static constexpr std::string_view name = "conv2d_backward_weight";
  using Fn = void(const Tensor& dy, const Tensor& x, const Conv2dArgs&, Tensor& dw, Tensor& dbias);
  static double flops(const Tensor& dy, const Tensor&, const Conv2dArgs&, const Tensor& dw, const Tensor&) {
    return conv2d_flops(dy, dw);
  }
};

}  // namespace trainer::ops
