// Losses by name: what the trainer minimises.
//
//   const auto loss = losses().make("cross_entropy", config.group("MODEL"));
//   (*loss)(model(x), labels).backward();
#pragma once

#include "lib/autograd/var.h"
#include "lib/registry/registry.h"

namespace trainer::nn {

class Loss {
 public:
  virtual ~Loss() = default;
  /// The mean over the batch, of shape []. `output` [N, K]; each loss says which targets it takes: i64 [N]
  /// class indices, f32 [N, K] probabilities or values. Throws Error for others.
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
