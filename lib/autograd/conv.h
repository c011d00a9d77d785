// Differentiable lib/ops/conv.h: shapes, dtypes and errors are documented there.
#pragma once

#include "lib/autograd/var.h"
#include "lib/ops/conv.h"

namespace trainer::autograd {

Var conv2d(const Var& x, const Var& w, const Var& bias = {}, const ops::Conv2dArgs& = {});

}  // namespace trainer::autograd
