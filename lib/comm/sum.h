// The sum of an all-reduce, for host memory: each element is added in the order of the ranks.
#pragma once

#include <cstddef>
#include <span>

#include "lib/tensor/dtype.h"

namespace trainer::comm {

/// to[i] = ((parts[0][i] + parts[1][i]) + parts[2][i]) + ... for `count` elements; at least two parts. `to`
/// may be one of them. f32, f64, i64; integers wrap around.
void sum_in_order(DType, std::span<const std::byte* const> parts, std::byte* to, size_t count);

}  // namespace trainer::comm
