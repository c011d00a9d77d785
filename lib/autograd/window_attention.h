// Differentiable lib/ops/window_attention.h and lib/ops/relative_position.h.
#pragma once

#include "lib/autograd/var.h"
#include "lib/ops/relative_position.h"
#include "lib/ops/window_attention.h"

namespace trainer::autograd {

/// qkv [N, H, W, 3 heads D], packed as [3, heads, D] -> [N, H, W, heads D]. bias [heads, L, L] or undefined.
Var window_attention(const Var& qkv, int64_t heads, const Var& bias, const ops::WindowAttentionArgs&);

/// table [(2 Mh - 1) (2 Mw - 1), heads] -> bias [heads, L, L].
Var relative_position_bias(const Var& table, ops::Pair window);

}  // namespace trainer::autograd
