// Losses by name: what the trainer minimises.
#pragma once

#include "lib/autograd/var.h"
#include "lib/registry/registry.h"

namespace trainer::nn {

class Loss {
 public:
  virtual ~Loss() = default;
  /// The mean over the batch, rank 0. `output` [N, K]; the target's shape and dtype are the loss's business.
  virtual Var operator()(const Var& output, const Tensor& target) const = 0;
  /// The same without what only regularises training (label smoothing): for evaluation.
  virtual double measure(const Tensor& output, const Tensor& target) const {
    const NoGrad no_grad;
    return (*this)(Var(output), target).value().item();
  }
};

/// lib/nn/losses/<name>.cpp; keys in the group MODEL (Swin keeps LABEL_SMOOTHING there).
Registry<Loss>& losses();

}  // namespace trainer::nn
