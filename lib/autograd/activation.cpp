#include "lib/autograd/activation.h"

namespace trainer::autograd {

Var activate(const Var& x, ops::Activation f) {
  if (f == ops::Activation::none) return x;
  return record(ops::activate(x.value(), f), {&x}, [x = x.value(), f](Grads& g) {
    if (g.dy_is_ours()) g.pass(0, g.dy());  // written over
    ops::activate_backward(g.dy(), x, f, g[0]);
  });
}

}  // namespace trainer::autograd
