// The loops of attention over `rows` rows of a head's matrix of scores [length, stride], chosen for the processor at run
// time. Rows are padded to whole vectors (stride is a multiple of 16). All in place, in f32.
#pragma once

#include <cstdint>

#include "lib/backend/cpu/floats.h"
#include "lib/backend/cpu/small_product.h"

namespace trainer::cpu {

/// s = scale s + bias + mask; bias and mask [rows, length], or null.
void add_terms(float* s, int64_t rows, int64_t length, int64_t stride, float scale, const float* bias,
               const float* mask);

/// s becomes the probabilities of the scores scale s, each row yet to be multiplied by its factor: its largest number is
/// 1. lse: the log-sum-exp of each row. Padding becomes 0.
void softmax(float* s, int64_t rows, int64_t length, int64_t stride, float scale, float* factors, float* lse);

/// The same probabilities again: s = exp(scale s - lse). Padding becomes 0.
void probabilities(float* s, int64_t rows, int64_t length, int64_t stride, float scale, const float* lse);

/// The scalar product of each row of x with that of y, of the same width.
void row_dots(const ElementRows& x, const ElementRows& y, int64_t rows, float* dots);

/// dS = p (dP - deltas), deltas[r] for row r: added to dbias [rows, length] if there is one; dp becomes scale dS.
void score_gradients(const float* p, float* dp, const float* deltas, int64_t rows, int64_t length,
                     int64_t stride, float scale, float* dbias);

}  // namespace trainer::cpu
