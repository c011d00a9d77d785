// Differentiable lib/ops/norm.h.
#pragma once

#include "lib/autograd/var.h"
#include "lib/ops/norm.h"

namespace trainer::autograd {

/// Sums a tensor (f32 or f64) over the processes that share a batch, in place. Every process calls it at the
/// same places with the same shapes.
class BatchSum {
 public:
  virtual ~BatchSum() = default;
  virtual void sum(Tensor&) = 0;
};

/// A batch that is spread over processes.
struct SharedBatch {
  BatchSum* sum = nullptr;  ///< nullptr: this process has all of it
  double count = 0;         ///< rows of x in all processes together
};

/// Batch normalisation with the batch's own statistics, over all processes that share it (SyncBN). `moments`
/// receives them, for the running averages.
Var batch_norm_train(const Var& x, const Var& gamma, const Var& beta, const Var& residual,
                     const ops::BatchNormArgs&, const SharedBatch&, ops::Moments& moments);
/// With given statistics, which are constants.
Var batch_norm_eval(const Var& x, const Var& gamma, const Var& beta, const Var& residual,
                    const ops::BatchNormArgs&, const ops::Moments&);

}  // namespace trainer::autograd
