// Differentiable lib/ops/gelu.h.
#pragma once

#include "lib/autograd/var.h"
#include "lib/ops/gelu.h"

namespace trainer::autograd {

Var gelu(const Var& x, ops::GeluForm = ops::GeluForm::exact);

}  // namespace trainer::autograd
