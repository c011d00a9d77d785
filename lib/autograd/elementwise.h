// Differentiable lib/ops/elementwise.h and the views of Tensor.
#pragma once

#include "lib/autograd/var.h"
#include "lib/ops/elementwise.h"

namespace trainer::autograd {

Var activate(const Var& x, ops::Activation);
inline Var relu(const Var& x) { return activate(x, ops::Activation::relu); }
/// The result has the wider dtype of the two.
Var add(const Var& a, const Var& b);
/// x itself if it has this dtype already.
Var cast(const Var& x, DType);
Var scale(const Var& x, double factor);
Var dropout(const Var& x, const ops::DropoutArgs&);
/// Tensor::view: nothing is copied, forward or backward.
Var view(const Var& x, const Shape&);
/// [N, spatial..., C] -> [N, C * spatial...], channels first as torch.flatten(x, 1) of NCHW: a copy. x itself
/// for rank 2 and less.
Var flatten(const Var& x);

}  // namespace trainer::autograd
