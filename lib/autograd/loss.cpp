#include "lib/autograd/loss.h"

namespace trainer::autograd {

Var softmax_cross_entropy(const Var& logits, const Tensor& target, const ops::CrossEntropyArgs& args) {
  const auto [loss, log_sum_exp] = ops::softmax_cross_entropy(logits.value(), target, args);
  return record(loss, {&logits}, [x = logits.value(), target, lse = log_sum_exp, args](Grads& g) {
    ops::softmax_cross_entropy_backward(g.dy(), x, target, lse, args, g[0]);
  });
}

Var mse(const Var& prediction, const Tensor& target) {
  return record(ops::mse(prediction.value(), target), {&prediction},
                [x = prediction.value(), target](Grads& g) { ops::mse_backward(g.dy(), x, target, g[0]); });
}

}  // namespace trainer::autograd
