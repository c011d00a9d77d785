// Differentiable lib/ops/gelu.h.
#pragma once

#include "lib/autograd/var.h"
#include "lib/ops/gelu.h"

namespace trainer::autograd {

/// Behind a linear layer it is one pass over what the layer gave, which backward needs as it was anyway.
Var gelu(const Var& x, ops::GeluForm = ops::GeluForm::exact);

}  // namespace trainer::autograd
