// Between our layout (channels last) and the ecosystem's (channels first). These copy.
#pragma once

#include "lib/tensor/kernels.h"

namespace trainer::ops {

struct SwapAxes {
  static constexpr std::string_view name = "swap_axes";
  using Fn = void(const Tensor& x, Tensor& y);  // x [B, R, C] -> y [B, C, R]
};

/// [N, spatial..., C] -> [N, C, spatial...] and back; rank 2 and less is returned as it is.
Tensor to_channels_first(const Tensor& x);
Tensor to_channels_last(const Tensor& x);

}  // namespace trainer::ops
