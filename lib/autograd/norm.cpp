#include "lib/autograd/norm.h"

namespace trainer::autograd {
namespace {

enum Input { kX, kGamma, kBeta, kResidual };

Var batch_norm(const Var& x, const Var& gamma, const Var& beta, const Var& residual,
               const ops::BatchNormArgs& args, const ops::Moments& moments, bool constant_moments) {
  Tensor y = ops::batch_norm_apply(x.value(), moments, gamma.value(), beta.value(), residual.value(), args);
  const Tensor mask = args.relu ? y : Tensor();
  return record(y, {&x, &gamma, &beta, &residual},
                [x = x.value(), mask, moments, gamma = gamma.value(), args, constant_moments](Grads& g) {
                  // The sums are the gradients of gamma and beta, and dx needs them even where those are
                  // frozen.
                  Tensor& dgamma = g.or_scratch(kGamma, gamma);
                  Tensor& dbeta = g.or_scratch(kBeta, gamma);
                  ops::batch_norm_backward_reduce(g.dy(), x, mask, moments, args, dgamma, dbeta);
                  if (!g.wants(kX) && !g.wants(kResidual)) return;
                  const auto count = static_cast<double>(x.shape().rows());
                  ops::batch_norm_backward_apply(
                      g.dy(), x, mask, moments, gamma, constant_moments ? Tensor() : dgamma,
                      constant_moments ? Tensor() : dbeta, count, args, g[kX], g[kResidual]);
                });
}

}  // namespace

Var batch_norm_train(const Var& x, const Var& gamma, const Var& beta, const Var& residual,
                     const ops::BatchNormArgs& args, ops::Moments& moments) {
  moments = ops::batch_norm_statistics(x.value());
  return batch_norm(x, gamma, beta, residual, args, moments, false);
}

Var batch_norm_eval(const Var& x, const Var& gamma, const Var& beta, const Var& residual,
                    const ops::BatchNormArgs& args, const ops::Moments& moments) {
  return batch_norm(x, gamma, beta, residual, args, moments, true);
}

}  // namespace trainer::autograd
