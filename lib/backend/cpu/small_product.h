// Products of matrices that are small enough for a thread's caches, and the copies that they take; chosen for the
// processor at run time. Where a library's products are small, what it does before and after the arithmetic counts.
//
// Matrices are f32, or pairs of bf16 along the dimension that a product sums over (Pairs), and results f32. Rows are
// padded to whole vectors: strides are multiples of 16, and padding is read and written, never used.
#pragma once

#include <cstdint>

#include "lib/backend/cpu/floats.h"

namespace trainer::cpu {

constexpr int64_t padded(int64_t n) { return (n + 15) / 16 * 16; }

/// Two bf16 numbers, the first in the lower half. An odd number of them ends with 0.
using Bf16Pair = uint32_t;
constexpr int64_t pairs(int64_t n) { return (n + 1) / 2; }

/// y [rows, columns] = sum over k < depth of a(r, k) b [depth, columns], with a(r, k) at a + r a_row + k a_step,
/// so that a may be transposed. Of pairs depth, a_row, a_step and b_stride count pairs.
struct SmallProduct {
  int64_t rows, columns, depth;
  int64_t a_row, a_step, b_stride;
};

/// Rows of a tensor, `width` elements each: neither padded nor aligned.
struct ElementRows {
  Elements at;
  int64_t stride, width;
  ElementRows from(int64_t row) const { return {at.from(row * stride), stride, width}; }
};

/// y [rows, y_stride], padding included.
void multiply(const SmallProduct&, const float* a, const float* b, float* y, int64_t y_stride);
/// y [rows, columns] in rows of a tensor of `columns` elements. Row r is multiplied by factors[r] if there are factors.
void multiply(const SmallProduct&, const float* a, const float* b, const ElementRows& y,
              const float* factors = nullptr);

/// The same by an instruction that adds the products of two pairs (avx512_bf16); a tensor has to be bf16.
void multiply(const SmallProduct&, const Bf16Pair* a, const Bf16Pair* b, float* y, int64_t y_stride);
void multiply(const SmallProduct&, const Bf16Pair* a, const Bf16Pair* b, const ElementRows& y,
              const float* factors = nullptr);
/// Rows of f32 numbers rounded to such factors, padding included: [rows, stride] of bf16, and pairs of rows
/// [pairs(rows), stride], which a product with the transposed matrix sums over. Null: not wanted.
void round_rows(const float* x, int64_t stride, int64_t rows, bf16* y, Bf16Pair* paired);
/// Whether the processor has the instruction, and that which rounds.
bool has_bf16_products();

/// Between matrices of one dtype.
void copy_rows(const ElementRows& from, int64_t rows, const ElementRows& to);
/// Writes zeros.
void clear_rows(const ElementRows&, int64_t rows);
/// Writes rows of an f32 matrix. Row r is multiplied by factors[r] if there are factors.
void write_rows(const float* from, int64_t stride, const float* factors, int64_t rows, const ElementRows& to);

/// Asks for rows before they are needed: where rows are short the processor does not foresee the next. They come as far
/// as the second level of cache: the first is for what is computed meanwhile.
void prefetch_rows(const ElementRows&, int64_t rows);

/// y [width, rows] = x [rows, width] transposed; of f32, or of the pairs in a row of bf16.
void transpose(const uint32_t* x, int64_t x_stride, int64_t rows, int64_t width, uint32_t* y,
               int64_t y_stride);
/// y [pairs(rows), width]: rows 2k and 2k + 1 of the bf16 matrix x, element by element.
void pair_rows(const bf16* x, int64_t x_stride, int64_t rows, int64_t width, Bf16Pair* y, int64_t y_stride);

}  // namespace trainer::cpu
