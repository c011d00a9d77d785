// Differentiable lib/ops/norm.h.
#pragma once

#include "lib/autograd/var.h"
#include "lib/ops/norm.h"

namespace trainer::autograd {

/// Batch normalisation with the batch's own statistics. `moments` receives them, for the running averages.
Var batch_norm_train(const Var& x, const Var& gamma, const Var& beta, const Var& residual,
                     const ops::BatchNormArgs&, ops::Moments& moments);
/// With given statistics, which are constants.
Var batch_norm_eval(const Var& x, const Var& gamma, const Var& beta, const Var& residual,
                    const ops::BatchNormArgs&, const ops::Moments&);

}  // namespace trainer::autograd
