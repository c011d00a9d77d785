#include "lib/autograd/elementwise.h"

#include "lib/ops/layout.h"

namespace trainer::autograd {

Var activate(const Var& x, ops::Activation activation) {
  const Tensor y = ops::activate(x.value(), activation);
  return record(y, {&x}, [y, activation](Grads& g) {
    if (g.dy_is_unique()) g.pass(0, g.dy());  // dx overwrites it
    ops::activate_backward(g.dy(), y, activation, g[0]);
  });
}

Var add(const Var& a, const Var& b) {
  const DType types[] = {a.value().dtype(), b.value().dtype()};
  return record(ops::add(a.value(), b.value()), {&a, &b}, [types](Grads& g) {
    for (int i = 0; i < 2; ++i) {
      if (g.wants(i)) g.pass(i, g.dy().dtype() == types[i] ? g.dy() : ops::cast(g.dy(), types[i]));
    }
  });
}

Var cast(const Var& x, DType to) {
  const DType from = x.value().dtype();
  if (from == to) return x;
  return record(ops::cast(x.value(), to), {&x}, [from](Grads& g) { g.pass(0, ops::cast(g.dy(), from)); });
}

Var scale(const Var& x, double factor) {
  return record(ops::scale(x.value(), factor), {&x},
                [factor](Grads& g) { g.pass(0, ops::scale(g.dy(), factor)); });
}

Var dropout(const Var& x, const ops::DropoutArgs& args) {
  return record(ops::dropout(x.value(), args), {&x},
                [args](Grads& g) { g.pass(0, ops::dropout(g.dy(), args)); });
}

Var view(const Var& x, const Shape& shape) {
  return record(x.value().view(shape), {&x}, [from = x.shape()](Grads& g) { g.pass(0, g.dy().view(from)); });
}

Var flatten(const Var& x) {
  const Shape& s = x.shape();
  if (s.rank() <= 2) return x;
  // One channel, or one pixel: both orders are the same.
  if (s.back() == 1 || s.numel() == s[0] * s.back()) return view(x, {s[0], s.drop_front().numel()});
  const Tensor y = ops::to_channels_first(x.value());
  return record(y.view({y.size(0), -1}), {&x}, [channels_first = y.shape()](Grads& g) {
    g.pass(0, ops::to_channels_last(g.dy().view(channels_first)));
  });
}

}  // namespace trainer::autograd
