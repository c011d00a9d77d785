#include "lib/autograd/matmul.h"

#include "lib/ops/elementwise.h"
#include "lib/ops/matmul.h"

namespace trainer::autograd {

Var linear(const Var& x, const Var& w, const Var& bias, ops::Activation activation) {
  const Tensor y = ops::linear(x.value(), w.value(), bias.value(), activation);
  const bool activated = activation != ops::Activation::none;
  // Only the weight's gradient needs x, which a frozen layer has no reason to keep.
  const bool trained = w.requires_grad() || bias.requires_grad();
  return record(y, {&x, &w, &bias},
                [x = trained ? x.value() : Tensor(), w = w.value(), y = activated ? y : Tensor(),
                 activation](Grads& g) {
                  Tensor dy = !y.defined() || g.dy_is_unique() ? g.dy() : Tensor::empty_like(g.dy());
                  if (y.defined()) ops::activate_backward(g.dy(), y, activation, dy);
                  if (g.wants(0)) ops::linear_backward_data(dy, w, g[0]);
                  if (g.wants(1) || g.wants(2)) ops::linear_backward_weight(dy, x, g.or_scratch(1, w), g[2]);
                });
}

Var linear_gelu(const Var& x, const Var& w, const Var& bias, ops::GeluForm form) {
  const bool trained = w.requires_grad() || bias.requires_grad();
  const auto [y, slope] = ops::linear_gelu(x.value(), w.value(), bias.value(), form,
                                           grad_enabled() && (trained || x.requires_grad()));
  return record(y, {&x, &w, &bias},
                [x = w.requires_grad() ? x.value() : Tensor(), w = w.value(), slope = slope](Grads& g) {
                  Tensor dz = g.dy_is_unique() ? g.dy() : Tensor::empty_like(g.dy()), no_bias;
                  ops::gelu_backward(g.dy(), slope, dz, g[2]);
                  if (g.wants(0)) ops::linear_backward_data(dz, w, g[0]);
                  if (g.wants(1)) ops::linear_backward_weight(dz, x, g[1], no_bias);
                });
}

}  // namespace trainer::autograd
