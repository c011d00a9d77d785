#include "lib/autograd/matmul.h"

#include "lib/ops/elementwise.h"
#include "lib/ops/matmul.h"

namespace trainer::autograd {
namespace {

enum Input { kX, kWeight, kBias };

/// What a linear layer's gradient needs. Only that of the weight needs x, which a layer whose weight is frozen has no
/// reason to keep.
struct Saved {
  Saved(const Var& x_, const Var& w_) : x(w_.requires_grad() ? x_.value() : Tensor()), w(w_.value()) {}
  Tensor x, w;
  /// `dy` is the gradient before an activation.
  void backward(Grads& g, const Tensor& dy) const {
    if (g.wants(kX)) ops::linear_backward_data(dy, w, g[kX]);
    if (g.wants(kWeight)) {
      ops::linear_backward_weight(dy, x, g[kWeight], g[kBias]);
    } else if (g.wants(kBias)) {
      ops::bias_backward(dy, g[kBias]);
    }
  }
};

/// Where a gradient goes that replaces dy.
Tensor in_place_of_dy(const Grads& g) { return g.dy_is_unique() ? g.dy() : Tensor::empty_like(g.dy()); }

}  // namespace

Var linear(const Var& x, const Var& w, const Var& bias, ops::Activation activation) {
  const Tensor y = ops::linear(x.value(), w.value(), bias.value(), activation);
  if (activation == ops::Activation::none)
    return record(y, {&x, &w, &bias}, [saved = Saved(x, w)](Grads& g) { saved.backward(g, g.dy()); });
  return record(y, {&x, &w, &bias}, [saved = Saved(x, w), y, activation](Grads& g) {
    Tensor dz = in_place_of_dy(g);
    ops::activate_backward(g.dy(), y, activation, dz);
    saved.backward(g, dz);
  });
}

Var linear_gelu(const Var& x, const Var& w, const Var& bias, ops::GeluForm form) {
  const auto [y, slope] =
      ops::linear_gelu(x.value(), w.value(), bias.value(), form, recorded({&x, &w, &bias}));
  return record(y, {&x, &w, &bias}, [saved = Saved(x, w), slope = slope](Grads& g) {
    Tensor dz = in_place_of_dy(g), summed;
    ops::gelu_backward(g.dy(), slope, dz, g[kBias]);
    if (g.wants(kX)) ops::linear_backward_data(dz, saved.w, g[kX]);
    if (g.wants(kWeight)) ops::linear_backward_weight(dz, saved.x, g[kWeight], summed);
  });
}

}  // namespace trainer::autograd
