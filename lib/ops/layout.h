// Conversion between our layout, channels last, and PyTorch's and timm's, channels first. It copies.
#pragma once

#include "lib/tensor/kernels.h"

namespace trainer::ops {

/// [N, spatial..., C] -> [N, C, spatial...], any dtype. Rank 2 and less is returned as it is.
Tensor to_channels_first(const Tensor& x);
/// [N, C, spatial...] -> [N, spatial..., C].
Tensor to_channels_last(const Tensor& x);

// The kernels of a backend (lib/tensor/kernels.h).

struct SwapAxes {
  static constexpr std::string_view name = "swap_axes";
  using Fn = void(const Tensor& x, Tensor& y);  // x [B, R, C] -> y [B, C, R]
};

}  // namespace trainer::ops
