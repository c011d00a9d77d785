// Differentiable lib/ops/matmul.h.
#pragma once

#include "lib/autograd/var.h"
#include "lib/ops/activation.h"
#include "lib/ops/gelu.h"

namespace trainer::autograd {

/// x [..., I], w [O, I], bias [O] or undefined -> [..., O].
Var linear(const Var& x, const Var& w, const Var& bias = {}, ops::Activation = ops::Activation::none);
/// gelu(linear(x, w, bias)).
Var linear_gelu(const Var& x, const Var& w, const Var& bias = {}, ops::GeluForm = ops::GeluForm::exact);

}  // namespace trainer::autograd
