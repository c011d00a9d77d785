// Elementwise ops over floating tensors of any shape. Shapes must be equal: there is no broadcasting. Where a
// function writes into a given output, that may be one of the inputs, except in cast_into().
#pragma once

#include "lib/ops/activation.h"
#include "lib/tensor/kernels.h"

namespace trainer::ops {

/// Dropout (Srivastava et al., 2014), or stochastic depth (Huang et al., 2016) if per_row, with a
/// counter-based mask: element e (or row e, of the first axis) is kept if u >= p, u =
/// Rng::from_key(key).uniform(index, first + e), and then scaled by 1 / (1 - p). No mask is saved: backward
/// is the same function of dy. u is (bits >> 8) 2^-24 exactly, so kernels may compare integers: keep if bits
/// >> 8 >= ceil(p 2^24).
struct DropoutArgs {
  double p = 0.5;      ///< probability of dropping, in [0, 1]
  uint64_t key = 0;    ///< Rng::key() of seed, purpose and layer path
  uint64_t index = 0;  ///< optimizer step
  int64_t first = 0;   ///< position of this tensor's first element (row) in the step's whole batch
  bool per_row = false;
};

Tensor activate(const Tensor& x, Activation);
/// dx = dy times the derivative of the activation, computed from its output y.
void activate_backward(const Tensor& dy, const Tensor& y, Activation, Tensor& dx);
/// Equal dtypes, or f32 with f16 or bf16: then the sum is f32.
Tensor add(const Tensor& a, const Tensor& b);
/// a += b.
void add_into(Tensor& a, const Tensor& b);
Tensor scale(const Tensor& x, double factor);
/// A copy in another floating dtype, rounded to nearest even.
Tensor cast(const Tensor& x, DType);
void cast_into(const Tensor& x, Tensor& y);
Tensor dropout(const Tensor& x, const DropoutArgs&);

// The kernels of a backend (lib/tensor/kernels.h).

struct Activate {
  static constexpr std::string_view name = "activate";
  using Fn = void(const Tensor& x, Activation, Tensor& y);
};
struct ActivateBackward {
  static constexpr std::string_view name = "activate_backward";
  using Fn = void(const Tensor& dy, const Tensor& y, Activation, Tensor& dx);
};
struct Add {
  static constexpr std::string_view name = "add";
  using Fn = void(const Tensor& a, const Tensor& b, Tensor& y);
};
struct Scale {
  static constexpr std::string_view name = "scale";
  using Fn = void(const Tensor& x, double factor, Tensor& y);
};
struct Cast {
  static constexpr std::string_view name = "cast";
  using Fn = void(const Tensor& x, Tensor& y);
};
struct Dropout {
  static constexpr std::string_view name = "dropout";
  using Fn = void(const Tensor& x, const DropoutArgs&, Tensor& y);
};

}  // namespace trainer::ops
