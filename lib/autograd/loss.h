// Differentiable lib/ops/loss.h: means over the batch, rank 0.
#pragma once

#include "lib/autograd/var.h"
#include "lib/ops/loss.h"

namespace trainer::autograd {

Var softmax_cross_entropy(const Var& logits, const Tensor& target, const ops::CrossEntropyArgs& = {});
Var mse(const Var& prediction, const Tensor& target);

}  // namespace trainer::autograd
