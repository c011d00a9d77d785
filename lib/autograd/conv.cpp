#include "lib/autograd/conv.h"

#include "lib/ops/matmul.h"

namespace trainer::autograd {

Var conv2d(const Var& x, const Var& w, const Var& bias, const ops::Conv2dArgs& args) {
  Tensor y = ops::conv2d(x.value(), w.value(), bias.value(), args);
  // Only the weight's gradient needs x, which a layer whose weight is frozen has no reason to keep.
  const Tensor kept = w.requires_grad() ? x.value() : Tensor();
  return record(std::move(y), {&x, &w, &bias}, [x = kept, w = w.value(), args](Grads& g) {
    if (g.wants(0)) ops::conv2d_backward_data(g.dy(), w, args, g[0]);
    if (g.wants(1)) {
      ops::conv2d_backward_weight(g.dy(), x, args, g[1], g[2]);
    } else if (g.wants(2)) {
      ops::bias_backward(g.dy(), g[2]);
    }
  });
}

}  // namespace trainer::autograd
