// GELU for other kernels.
#pragma once

#include "lib/backend/cpu/floats.h"
#include "lib/ops/gelu.h"

namespace trainer::cpu {

/// y [n] = gelu(x [n]) and, unless it is null, slope [n]; one of them may be x. By all threads, within a
/// parallel loop on this one.
void gelu_elements(const Elements& x, ops::GeluForm, const Elements& y, const Elements& slope, int64_t n);

}  // namespace trainer::cpu
