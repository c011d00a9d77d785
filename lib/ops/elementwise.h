// Elementwise ops. Shapes are equal: there is no broadcasting. An output may be one of the inputs, except in
// cast.
#pragma once

#include "lib/tensor/kernels.h"

namespace trainer::ops {

struct Relu {
  static constexpr std::string_view name = "relu";
  using Fn = void(const Tensor& x, Tensor& y);
};
struct ReluBackward {
  static constexpr std::string_view name = "relu_backward";
  using Fn = void(const Tensor& dy, const Tensor& y, Tensor& dx);
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

/// Dropout by counter: element e of the tensor (or its row, the first axis, if per_row: stochastic depth) is
/// kept if Philox(key; index, first + e) >= p, and then scaled by 1 / (1 - p). Nothing is saved: backward
/// applies the same mask to dy. Philox is Rng::uniform: (bits >> 8) 2^-24 with no rounding, so integers can
/// be compared: keep if bits >> 8 >= ceil(p 2^24).
struct DropoutArgs {
  double p = 0.5;
  uint64_t key = 0;    ///< Rng::key() of seed, purpose and layer path
  uint64_t index = 0;  ///< optimizer step
  int64_t first = 0;   ///< position of this tensor's first element (row) in the step's whole batch
  bool per_row = false;
};
struct Dropout {
  static constexpr std::string_view name = "dropout";
  using Fn = void(const Tensor& x, const DropoutArgs&, Tensor& y);
};

/// NaN stays NaN.
Tensor relu(const Tensor& x);
/// dx = dy where y > 0, else 0.
void relu_backward(const Tensor& dy, const Tensor& y, Tensor& dx);
/// One of them may be f32 and the other 16 bits wide: the sum is f32.
Tensor add(const Tensor& a, const Tensor& b);
/// a += b.
void add_into(Tensor& a, const Tensor& b);
Tensor scale(const Tensor& x, double factor);
/// Rounds to nearest even.
Tensor cast(const Tensor& x, DType);
void cast_into(const Tensor& x, Tensor& y);
Tensor dropout(const Tensor& x, const DropoutArgs&);

}  // namespace trainer::ops
