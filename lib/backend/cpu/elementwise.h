// Elementwise loops for other kernels.
#pragma once

#include "lib/backend/cpu/floats.h"
#include "lib/ops/activation.h"

namespace trainer::cpu {

/// Elements [begin, end) of y become those of x, converted; both floating and as long. On this thread.
void cast_elements(const Tensor& x, Tensor& y, int64_t begin, int64_t end);

/// y [n] = activation(x [n]); y may be x. By all threads, within a parallel loop on this one.
void activate_elements(const Elements& x, ops::Activation, const Elements& y, int64_t n);

}  // namespace trainer::cpu
