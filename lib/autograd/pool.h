// Differentiable lib/ops/pool.h: shapes, dtypes and errors are documented there.
#pragma once

#include "lib/autograd/var.h"
#include "lib/ops/pool.h"

namespace trainer::autograd {

Var max_pool2d(const Var& x, const ops::Pool2dArgs&);
Var avg_pool2d(const Var& x, const ops::Pool2dArgs&);
/// [N, spatial..., C] -> [N, C].
Var global_avg_pool(const Var& x);

}  // namespace trainer::autograd
