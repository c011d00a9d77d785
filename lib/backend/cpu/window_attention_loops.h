// The inner loops of attention in windows over small f32 matrices, chosen for the processor at run time. Rows
// are padded to whole vectors: strides are multiples of 16, and padding is read and written, never used.
#pragma once

#include <cstdint>

#include "lib/backend/cpu/floats.h"

namespace trainer::cpu {

/// y [rows, columns] = sum over k < depth of a(r, k) b [depth, columns], with a(r, k) at a + r a_row + k a_step,
/// so that a may be transposed.
struct SmallProduct {
  int64_t rows, columns, depth;
  int64_t a_row, a_step, b_stride, y_stride;
};
void multiply(const SmallProduct&, const float* a, const float* b, float* y);

/// Copies `rows` rows of `width` elements between an f32 or bf16 tensor, x_stride apart, and an f32 matrix.
void read_rows(const Elements& x, int64_t x_stride, int64_t rows, int64_t width, float* y, int64_t y_stride);
void write_rows(const float* y, int64_t y_stride, int64_t rows, int64_t width, const Elements& x,
                int64_t x_stride);

/// Asks for rows before they are needed: a window's are too short for the processor to foresee the next.
void prefetch_rows(const Elements& x, int64_t x_stride, int64_t rows, int64_t width);

/// y [width, rows] = x [rows, width] transposed.
void transpose(const float* x, int64_t x_stride, int64_t rows, int64_t width, float* y, int64_t y_stride);

}  // namespace trainer::cpu
