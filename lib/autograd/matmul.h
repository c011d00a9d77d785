// Differentiable lib/ops/matmul.h.
#pragma once

#include "lib/autograd/var.h"
#include "lib/ops/activation.h"

namespace trainer::autograd {

/// x [..., I], w [O, I], bias [O] or undefined -> [..., O].
Var linear(const Var& x, const Var& w, const Var& bias = {}, ops::Activation = ops::Activation::none);

}  // namespace trainer::autograd
