// The loops of attention over one head's matrices of scores [length, stride], chosen for the processor at run
// time: rows of `length` scores, padded to whole vectors (stride is a multiple of 16).
#pragma once

#include <cstdint>

#include "lib/backend/cpu/floats.h"
#include "lib/backend/cpu/small_product.h"

namespace trainer::cpu {

/// A result [length, stride] for products to read: in rows, of the tensors' dtype, and for bf16 in pairs of rows
/// [pairs(length), stride], which are what a product with the transposed matrix sums over. Null: not wanted.
struct Operand {
  Elements rows;
  Bf16Pair* row_pairs = nullptr;
};

/// s = scale s + bias + mask; bias and mask [length, length], or null.
void add_terms(float* s, int64_t length, int64_t stride, float scale, const float* bias, const float* mask);

/// p = the probabilities of the scores scale s, each row yet to be multiplied by its factor: its largest number is 1.
/// lse: the log-sum-exp of each row. p may be s. Padding becomes 0.
void softmax(float* s, int64_t length, int64_t stride, float scale, const Elements& p, float* factors,
             float* lse);

/// The same probabilities again: s = exp(scale s - lse), also in p, whose rows may be s. Padding becomes 0.
void probabilities(float* s, int64_t length, int64_t stride, float scale, const float* lse, const Operand& p);

/// The scalar product of each row of x with that of y, of the same width.
void row_dots(const ElementRows& x, const ElementRows& y, int64_t rows, float* dots);

/// dS = p (dP - deltas), deltas[r] for row r: added to dbias [length, length] if there is one, and scale dS to ds, whose
/// rows may be dp.
void score_gradients(const float* p, const float* dp, const float* deltas, int64_t length, int64_t stride,
                     float scale, const Operand& ds, float* dbias);

}  // namespace trainer::cpu
