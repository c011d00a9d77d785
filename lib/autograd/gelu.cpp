#include "lib/autograd/gelu.h"

namespace trainer::autograd {

Var gelu(const Var& x, ops::GeluForm form) {
  return record(ops::gelu(x.value(), form), {&x}, [x = x.value(), form](Grads& g) {
    if (g.dy_is_unique()) g.pass(0, g.dy());  // dx overwrites it
    ops::gelu_backward(g.dy(), x, form, g[0]);
  });
}

}  // namespace trainer::autograd
