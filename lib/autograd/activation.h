// Differentiable lib/ops/activation.h.
#pragma once

#include "lib/autograd/var.h"
#include "lib/ops/activation.h"

namespace trainer::autograd {

/// f(x). Behind a linear layer it is one pass over what the layer gave, which backward needs as it was
/// anyway.
Var activate(const Var& x, ops::Activation f);

}  // namespace trainer::autograd
