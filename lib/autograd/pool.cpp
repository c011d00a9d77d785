#include "lib/autograd/pool.h"

namespace trainer::autograd {

Var max_pool2d(const Var& x, const ops::Pool2dArgs& args) {
  ops::MaxPoolResult pooled = ops::max_pool2d(x.value(), args);
  return record(std::move(pooled.y), {&x}, [argmax = pooled.argmax, args](Grads& g) {
    ops::max_pool2d_backward(g.dy(), argmax, args, g[0]);
  });
}

Var avg_pool2d(const Var& x, const ops::Pool2dArgs& args) {
  return record(ops::avg_pool2d(x.value(), args), {&x},
                [args](Grads& g) { ops::avg_pool2d_backward(g.dy(), args, g[0]); });
}

Var global_avg_pool(const Var& x) {
  return record(ops::global_avg_pool(x.value()), {&x},
                [](Grads& g) { ops::global_avg_pool_backward(g.dy(), g[0]); });
}

}  // namespace trainer::autograd
