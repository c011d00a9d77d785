// The loops of attention over one head's matrices of scores [length, stride], chosen for the processor at run
// time: rows of `length` scores, padded to whole vectors (stride is a multiple of 16).
#pragma once

#include <cstdint>

#include "lib/backend/cpu/floats.h"

namespace trainer::cpu {

/// s = scale s + bias + mask; bias and mask [length, length], or null.
void add_terms(float* s, int64_t length, int64_t stride, float scale, const float* bias, const float* mask);

/// Probabilities of the scores scale s, and the log-sum-exp of each row; p may be s.
void softmax(float* s, int64_t length, int64_t stride, float scale, const Elements& p, float* lse);

/// The same probabilities again: s = exp(scale s - lse), and p a copy of it; p may be s.
void probabilities(float* s, int64_t length, int64_t stride, float scale, const float* lse,
                   const Elements& p);

/// dS = p (dP - dy . y), a row of dy and y [width], y_stride apart, for each row of scores: added to dbias
/// [length, length] if there is one, and scale dS to ds, which may be dp.
void score_gradients(const float* p, const float* dp, const Elements& dy, const Elements& y, int64_t y_stride,
                     int64_t width, int64_t length, int64_t stride, float scale, const Elements& ds,
                     float* dbias);

}  // namespace trainer::cpu
