// Pooling over the spatial axes of x [N, H, W, C], as in torch.nn.functional: y [N, OH, OW, C].
//
//   OH = (H + 2 padding - kernel) / stride + 1, rounded down (up with ceil_mode); OW likewise.
#pragma once

#include "lib/ops/conv.h"

namespace trainer::ops {

struct Pool2dArgs {
  Pair kernel = 2, stride = 2, padding = 0;
  bool ceil_mode = false;         ///< keep a last window that starts inside the input or its left padding
  bool count_include_pad = true;  ///< average: padding counts in the divisor
  bool operator==(const Pool2dArgs&) const = default;
};

/// The shape of y.
Shape pool2d_shape(const Shape& x, const Pool2dArgs&);

struct MaxPoolResult {
  Tensor y;
  Tensor argmax;  ///< u8, like y: kh * KW + kw of the first largest element of the window, or of its last NaN
};

/// NaN wins over numbers, as in PyTorch. A window has at most 256 positions.
MaxPoolResult max_pool2d(const Tensor& x, const Pool2dArgs&);
void max_pool2d_backward(const Tensor& dy, const Tensor& argmax, const Pool2dArgs&, Tensor& dx);

Tensor avg_pool2d(const Tensor& x, const Pool2dArgs&);
void avg_pool2d_backward(const Tensor& dy, const Pool2dArgs&, Tensor& dx);

/// x [N, spatial..., C] -> y [N, C], the mean over all spatial axes.
Tensor global_avg_pool(const Tensor& x);
void global_avg_pool_backward(const Tensor& dy, Tensor& dx);

// The kernels of a backend (lib/tensor/kernels.h).

struct MaxPool2d {
  static constexpr std::string_view name = "max_pool2d";
  using Fn = void(const Tensor& x, const Pool2dArgs&, Tensor& y, Tensor& argmax);
};
struct MaxPool2dBackward {
  static constexpr std::string_view name = "max_pool2d_backward";
  using Fn = void(const Tensor& dy, const Tensor& argmax, const Pool2dArgs&, Tensor& dx);
};
struct AvgPool2d {
  static constexpr std::string_view name = "avg_pool2d";
  using Fn = void(const Tensor& x, const Pool2dArgs&, Tensor& y);
};
struct AvgPool2dBackward {
  static constexpr std::string_view name = "avg_pool2d_backward";
  using Fn = void(const Tensor& dy, const Pool2dArgs&, Tensor& dx);
};
struct GlobalAvgPool {
  static constexpr std::string_view name = "global_avg_pool";
  using Fn = void(const Tensor& x, Tensor& y);
};
struct GlobalAvgPoolBackward {
  static constexpr std::string_view name = "global_avg_pool_backward";
  using Fn = void(const Tensor& dy, Tensor& dx);
};

}  // namespace trainer::ops
