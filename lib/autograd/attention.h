// Differentiable lib/ops/attention.h.
#pragma once

#include "lib/autograd/var.h"
#include "lib/ops/attention.h"

namespace trainer::autograd {

/// qkv [N, L, 3 H D], packed as [3, H, D], with H = `heads` -> [N, Q, H D]. bias [H, L, L] or undefined; the
/// mask [G, L, L] or undefined is a constant.
Var attention(const Var& qkv, int64_t heads, const Var& bias = {}, const Tensor& mask = {},
              const ops::AttentionArgs& = {});

}  // namespace trainer::autograd
