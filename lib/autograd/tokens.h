// Differentiable lib/ops/tokens.h: shapes, dtypes and errors are documented there.
#pragma once

#include "lib/autograd/var.h"
#include "lib/ops/tokens.h"

namespace trainer::autograd {

Var embed_tokens(const Var& x, const Var& first, const Var& position, std::optional<DType> dtype = {});
Var slice_tokens(const Var& x, int64_t begin, int64_t end);

}  // namespace trainer::autograd
