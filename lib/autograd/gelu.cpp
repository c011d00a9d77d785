#include "lib/autograd/gelu.h"

namespace trainer::autograd {

Var gelu(const Var& x, ops::GeluForm form) {
  const auto [y, slope] = ops::gelu(x.value(), form, recorded({&x}));
  return record(y, {&x}, [slope = slope](Grads& g) {
    if (g.dy_is_unique()) g.pass(0, g.dy());  // dx overwrites it
    Tensor no_bias;
    ops::gelu_backward(g.dy(), slope, g[0], no_bias);
  });
}

}  // namespace trainer::autograd
