// Sums over the rows of a matrix: bias gradients.
#pragma once

#include <cstdint>

#include "lib/backend/cpu/floats.h"

namespace trainer::cpu {

/// sums [columns] = sum over rows of x [rows, columns]. Fixed chunks in f32, combined in order in f64: the
/// result does not depend on the number of threads.
void column_sum(const Elements& x, int64_t rows, int64_t columns, float* sums);

}  // namespace trainer::cpu
