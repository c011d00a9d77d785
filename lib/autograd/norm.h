// Differentiable lib/ops/norm.h.
#pragma once

#include "lib/autograd/var.h"
#include "lib/ops/norm.h"

namespace trainer::autograd {

/// Sums a tensor (f32 or f64) over the processes that share a batch, in place (an all-reduce). Every process
/// makes the same calls in the same order.
class BatchSum {
 public:
  virtual ~BatchSum() = default;
  virtual void sum(Tensor&) = 0;
};

/// A batch that may be spread over processes.
struct SharedBatch {
  BatchSum* sum = nullptr;  ///< nullptr: this process has the whole batch
  double count = 0;         ///< rows of x in all processes together
};

/// Batch normalisation with the statistics of the batch, over all processes that share it (SyncBN). Sets
/// `moments` to them, for the running averages. `residual` may be undefined.
Var batch_norm_train(const Var& x, const Var& gamma, const Var& beta, const Var& residual,
                     const ops::BatchNormArgs&, const SharedBatch&, ops::Moments& moments);
/// With given statistics, which are constants: evaluation, or frozen statistics.
Var batch_norm_eval(const Var& x, const Var& gamma, const Var& beta, const Var& residual,
                    const ops::BatchNormArgs&, const ops::Moments&);

}  // namespace trainer::autograd
