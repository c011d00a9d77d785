// The inner loops of batch normalisation over a matrix [rows, columns], chosen for the processor at run time.
// Sums are f32 and meant for blocks of some hundred rows. Matrices of one call have one dtype, f32 or bf16.
#pragma once

#include <cstdint>

#include "lib/backend/cpu/floats.h"
#include "lib/ops/activation.h"

namespace trainer::cpu {

/// sums [columns] = sum over rows of x.
void sum_rows(const Elements& x, int64_t rows, int64_t columns, float* sums);

/// sums = sum of x - center, squares = sum of (x - center)^2, by column.
void deviations(const Elements& x, const float* center, int64_t rows, int64_t columns, float* sums,
                float* squares);

/// By column, the mean of samples and the sum of their squared deviations from it. Two sets of samples merge
/// without cancellation (Chan, Golub and LeVeque, 1979); how many they are is the same in every column.
struct Samples {
  double *mean, *squares;
};
/// n samples, given as deviations() gives them, join the `count` in `total`. The new mean is rounded into `center`.
void join_deviations(const float* sums, const float* squares, double n, double count, int64_t columns,
                     float* center, const Samples& total);
/// n samples join the `count` in `total`.
void join_samples(const Samples&, double n, double count, int64_t columns, const Samples& total);

/// sums += x.
void add_floats(const float* x, int64_t n, double* sums);

/// With g = dy times the slope where the activation's value is y: sums = sum of g, products = sum of g (x -
/// mean), by column. y is not read where there is no activation.
void gradient_sums(const Elements& dy, const Elements& x, const Elements& y, ops::Activation,
                   const float* mean, int64_t rows, int64_t columns, float* sums, float* products);

/// By column.
struct NormalizeParameters {
  const float *mean, *scale, *shift;
};
/// y = act((x - mean) scale + shift [+ residual]); residual may be null. `past_caches`: results go to memory
/// without being kept in a cache (may_go_past_caches).
void normalize(const Elements& x, const Elements& residual, ops::Activation, const NormalizeParameters&,
               int64_t rows, int64_t columns, bool past_caches, const Elements& y);

struct NormalizeBackwardParameters {
  const float *mean, *scale, *slope, *offset;
};
/// With g as above: dx = scale g + slope (x - mean) + offset, dresidual = g; one of them may be null.
void normalize_backward(const Elements& dy, const Elements& x, const Elements& y, ops::Activation,
                        const NormalizeBackwardParameters&, int64_t rows, int64_t columns, bool past_caches,
                        const Elements& dx, const Elements& dresidual);

/// A matrix of this size leaves the caches before it is read again, and its rows are aligned as stores past
/// them need it. Those spare reading a line before it is overwritten.
bool may_go_past_caches(const Elements& matrix, int64_t rows, int64_t columns);

}  // namespace trainer::cpu
