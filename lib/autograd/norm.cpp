#include "lib/autograd/norm.h"

#include <optional>

namespace trainer::autograd {
namespace {

enum Input { kX, kGamma, kBeta, kResidual };

/// The sums that dx needs, over all processes. (dgamma and dbeta stay local sums here: like every parameter's
/// gradient they are summed over processes later.)
struct Sums {
  Tensor dy_xhat, dy;
};
Sums over_all_processes(const Tensor& dgamma, const Tensor& dbeta, BatchSum* across) {
  if (across == nullptr) return {dgamma, dbeta};
  Tensor both = Tensor::empty({2, dgamma.numel()}, dgamma.dtype(), dgamma.device());
  Sums sums{both.slice(0, 1).view(dgamma.shape()), both.slice(1, 2).view(dgamma.shape())};
  sums.dy_xhat.copy_from(dgamma);
  sums.dy.copy_from(dbeta);
  across->sum(both);
  return sums;
}

/// `batch` is nullopt where the moments are constants.
Var batch_norm(const Var& x, const Var& gamma, const Var& beta, const Var& residual,
               const ops::BatchNormArgs& args, const ops::Moments& moments,
               const std::optional<SharedBatch>& batch) {
  Tensor y = ops::batch_norm_apply(x.value(), moments, gamma.value(), beta.value(), residual.value(), args);
  const Tensor mask = args.activation != ops::Activation::none ? y : Tensor();
  return record(y, {&x, &gamma, &beta, &residual},
                [x = x.value(), mask, moments, gamma = gamma.value(), args, batch](Grads& g) {
                  Sums sums;
                  // dgamma and dbeta are also the sums that dx needs, unless the moments are constants.
                  if (batch || g.wants(kGamma) || g.wants(kBeta)) {
                    Tensor& dgamma = g.or_scratch(kGamma, gamma);
                    Tensor& dbeta = g.or_scratch(kBeta, gamma);
                    ops::batch_norm_backward_reduce(g.dy(), x, mask, moments, args, dgamma, dbeta);
                    if (!g.wants(kX) && !g.wants(kResidual)) return;
                    if (batch) sums = over_all_processes(dgamma, dbeta, batch->sum);
                  }
                  ops::batch_norm_backward_apply(g.dy(), x, mask, moments, gamma, sums.dy_xhat, sums.dy,
                                                 batch ? batch->count : 0, args, g[kX], g[kResidual]);
                });
}

}  // namespace

Var batch_norm_train(const Var& x, const Var& gamma, const Var& beta, const Var& residual,
                     const ops::BatchNormArgs& args, const SharedBatch& batch, ops::Moments& moments) {
  moments = ops::batch_norm_statistics(x.value());
  if (batch.sum != nullptr) {
    Tensor sums = ops::batch_norm_sums(moments, static_cast<double>(x.shape().rows()));
    batch.sum->sum(sums);
    moments = ops::batch_norm_moments(sums, batch.count, moments.mean.dtype());
  }
  return batch_norm(x, gamma, beta, residual, args, moments, batch);
}

Var batch_norm_eval(const Var& x, const Var& gamma, const Var& beta, const Var& residual,
                    const ops::BatchNormArgs& args, const ops::Moments& moments) {
  return batch_norm(x, gamma, beta, residual, args, moments, std::nullopt);
}

}  // namespace trainer::autograd
