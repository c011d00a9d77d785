#include "lib/autograd/layer_norm.h"

#include "lib/ops/elementwise.h"

namespace trainer::autograd {
namespace {

enum Input { kSum, kGamma, kBeta };

/// y = layer_norm(sum), whose result is `normed`.
Var record_normed(const Var& sum, const Var& gamma, const Var& beta, ops::LayerNormResult normed) {
  const Tensor y = std::move(normed.y);
  normed.y = Tensor();
  return record(y, {&sum, &gamma, &beta}, [normed, gamma = gamma.value()](Grads& g) {
    const Tensor arrived = g.take(kSum);
    if (arrived.defined() && arrived.storage().unique()) g.pass(kSum, arrived);
    Tensor none;
    const bool parameters = g.wants(kGamma) || g.wants(kBeta);
    ops::layer_norm_backward(g.dy(), normed, gamma, arrived, g[kSum],
                             parameters ? g.or_scratch(kGamma, gamma) : none,
                             parameters ? g.or_scratch(kBeta, gamma) : none);
  });
}

}  // namespace

Var layer_norm(const Var& x, const Var& gamma, const Var& beta, const ops::LayerNormArgs& args) {
  return record_normed(x, gamma, beta, ops::layer_norm(x.value(), {}, gamma.value(), beta.value(), args));
}

AddedAndNormed add_layer_norm(const Var& x, const Var& residual, const Var& gamma, const Var& beta,
                              const ops::LayerNormArgs& args) {
  ops::LayerNormResult normed =
      ops::layer_norm(x.value(), residual.value(), gamma.value(), beta.value(), args);
  const Var sum = record(normed.sum, {&x, &residual}, [dtype = x.value().dtype()](Grads& g) {
    g.pass(0, g.dy().dtype() == dtype || !g.wants(0) ? g.dy() : ops::cast(g.dy(), dtype));
    g.pass(1, g.dy());
  });
  return {sum, record_normed(sum, gamma, beta, std::move(normed))};
}

}  // namespace trainer::autograd
