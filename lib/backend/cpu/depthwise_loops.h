// The loops of depthwise convolution, chosen for the processor at run time. Pointers in, pointers out: no
// tensors, no threads.
//
// Filters are K x K with K = 3, 5 or 7, steps 1 or 2 pixels, and there are at least vector_width() channels.
// Maps are f32 or bf16, of one type in a call; filters are f32 and lie tap by tap, [K, K, channels].
#pragma once

#include <cstdint>

#include "lib/backend/cpu/floats.h"

namespace trainer::cpu::depthwise {

/// Channels of a vector on this machine.
int64_t vector_width();

/// Images of `height` x `width` pixels, channels last.
struct Map {
  Elements data;
  int64_t height, width;
};

/// What relates two maps: y[h, w] = sum of x[stride h - pad_h + i, stride w - pad_w + j] filter[i, j] over
/// the taps that are inside of x, by channel. The padding may be negative.
struct Window {
  Map x, y;
  int64_t channels, kernel, stride, pad_h, pad_w;
  bool past_caches;  // results go to memory without being kept in a cache (may_go_past_caches)
};
/// Rows of all images of a map, counted through.
struct RowRange {
  int64_t begin, end;
};

/// Rows of y, plus the bias if there is one.
void correlate(const Window&, const float* filters, const float* bias, const RowRange& rows_of_y);
/// Rows of x, the gradient: what each pixel adds to y, turned around. Stride 2.
void spread(const Window&, const float* filters, const RowRange& rows_of_x);

/// The gradient of the filters by some rows of y, [K, K, slots]: sums of products of x and y. The last
/// vector of channels may overlap the one before, so its sums have slots of their own.
void products(const Window&, const RowRange& rows_of_y, float* sums);
inline int64_t slots(int64_t channels) {
  const int64_t n = vector_width();
  return (channels + n - 1) / n * n;
}
inline int64_t slot_of(int64_t channel, int64_t channels) {
  const int64_t n = vector_width(), whole = channels / n * n;
  return channel < whole ? channel : channel - channels + n + whole;
}

}  // namespace trainer::cpu::depthwise
