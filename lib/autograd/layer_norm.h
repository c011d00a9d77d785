// Differentiable lib/ops/layer_norm.h.
#pragma once

#include "lib/autograd/var.h"
#include "lib/ops/layer_norm.h"

namespace trainer::autograd {

Var layer_norm(const Var& x, const Var& gamma, const Var& beta, const ops::LayerNormArgs& = {});

/// sum = x + residual, in the residual's dtype, and y = layer_norm(sum), in one kernel. The backward kernel
/// of y also adds the gradient of sum from its other readers: the residual stream needs no separate
/// additions.
struct AddedAndNormed {
  Var sum, y;
};
AddedAndNormed add_layer_norm(const Var& x, const Var& residual, const Var& gamma, const Var& beta,
                              const ops::LayerNormArgs& = {});

}  // namespace trainer::autograd
