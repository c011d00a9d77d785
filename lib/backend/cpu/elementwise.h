// Elementwise loops for other kernels.
#pragma once

#include "lib/tensor/tensor.h"

namespace trainer::cpu {

/// Elements [begin, end) of y become those of x, converted; both floating and as long. On this thread.
void cast_elements(const Tensor& x, Tensor& y, int64_t begin, int64_t end);

}  // namespace trainer::cpu
