#include "lib/autograd/conv.h"

namespace trainer::autograd {

Var conv2d(const Var& x, const Var& w, const Var& bias, const ops::Conv2dArgs& args) {
  Tensor y = ops::conv2d(x.value(), w.value(), bias.value(), args);
  return record(std::move(y), {&x, &w, &bias}, [x = x.value(), w = w.value(), args](Grads& g) {
    if (g.wants(0)) ops::conv2d_backward_data(g.dy(), w, args, g[0]);
    if (g.wants(1) || g.wants(2)) ops::conv2d_backward_weight(g.dy(), x, args, g.or_scratch(1, w), g[2]);
  });
}

}  // namespace trainer::autograd
