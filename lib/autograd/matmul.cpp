#include "lib/autograd/matmul.h"

#include "lib/ops/matmul.h"

namespace trainer::autograd {

Var linear(const Var& x, const Var& w, const Var& bias) {
  Tensor y = ops::linear(x.value(), w.value(), bias.value());
  // Only the weight's gradient needs x, which a frozen layer has no reason to keep.
  const bool trained = w.requires_grad() || bias.requires_grad();
  return record(std::move(y), {&x, &w, &bias}, [x = trained ? x.value() : Tensor(), w = w.value()](Grads& g) {
    if (g.wants(0)) ops::linear_backward_data(g.dy(), w, g[0]);
    if (g.wants(1) || g.wants(2)) ops::linear_backward_weight(g.dy(), x, g.or_scratch(1, w), g[2]);
  });
}

}  // namespace trainer::autograd
