// Differentiable lib/ops/elementwise.h and the views of Tensor.
#pragma once

#include "lib/autograd/var.h"
#include "lib/ops/elementwise.h"

namespace trainer::autograd {

Var relu(const Var& x);
/// Of two types the wider one results.
Var add(const Var& a, const Var& b);
/// x itself if it has this type already.
Var cast(const Var& x, DType);
Var dropout(const Var& x, const ops::DropoutArgs&);
/// Same elements, other shape; shares storage both ways.
Var view(const Var& x, const Shape&);
/// [N, spatial..., C] -> [N, C * spatial...] in PyTorch's order (channels first): a copy, where there is
/// space to flatten.
Var flatten(const Var& x);

}  // namespace trainer::autograd
