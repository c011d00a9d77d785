#include "lib/ops/relative_position.h"

#include <algorithm>

#include "lib/backend/cpu/floats.h"
#include "lib/backend/cpu/parallel.h"

namespace trainer::cpu {
namespace {

// The table has its heads side by side, the bias one after the other; both are small.

/// Whole rows of the bias: a token at (row, column) of the window sees each row of others in a run of the table
/// that goes backwards.
void forward(const Tensor& table, ops::Pair window, Tensor& bias) {
  static constexpr auto op = ops::RelativePositionBias::name;
  const float* from = floats(op, table);
  float* to = floats(op, bias);
  const int64_t heads = table.size(1), length = window.h * window.w, across = 2 * window.w - 1;
  parallel_for(heads * length, chunks_of(elementwise_grain, length), [&](int64_t begin, int64_t end) {
    for (int64_t e = begin; e < end; ++e) {
      const int64_t h = e / length, row = e % length / window.w, column = e % length % window.w;
      float* out = to + e * length;
      for (int64_t r = 0; r < window.h; ++r) {
        int64_t at = ((row - r + window.h - 1) * across + column + window.w - 1) * heads + h;
        for (int64_t c = 0; c < window.w; ++c, at -= heads) *out++ = from[at];
      }
    }
  });
}

/// The sum of bias [length, length] over the tokens (r, c) and those `down` rows above and `right` columns to the
/// left of them.
double sum_of_pairs(const float* bias, ops::Pair window, int64_t down, int64_t right) {
  const int64_t length = window.h * window.w, back = down * window.w + right;
  const int64_t last_row = window.h + std::min<int64_t>(0, down);
  const int64_t last_column = window.w + std::min<int64_t>(0, right);
  double sum = 0;
  for (int64_t r = std::max<int64_t>(0, down); r < last_row; ++r) {
    for (int64_t c = std::max<int64_t>(0, right); c < last_column; ++c) {
      const int64_t i = r * window.w + c;
      sum += bias[i * length + i - back];
    }
  }
  return sum;
}

/// Each row of the table adds up its own pairs of tokens, so no two threads write to one element.
void backward(const Tensor& dbias, ops::Pair window, Tensor& dtable) {
  static constexpr auto op = ops::RelativePositionBiasBackward::name;
  const float* from = floats(op, dbias);
  float* to = floats(op, dtable);
  const int64_t heads = dtable.size(1), length = window.h * window.w, across = 2 * window.w - 1;
  const int64_t work = std::max<int64_t>(1, heads * length);
  parallel_for(dtable.size(0), chunks_of(elementwise_grain, work), [&](int64_t begin, int64_t end) {
    for (int64_t e = begin; e < end; ++e) {
      const int64_t down = e / across - (window.h - 1), right = e % across - (window.w - 1);
      for (int64_t h = 0; h < heads; ++h)
        to[e * heads + h] = static_cast<float>(sum_of_pairs(from + h * length * length, window, down, right));
    }
  });
}

[[maybe_unused]] const bool added[] = {
    Kernels<ops::RelativePositionBias>::add(Device::Kind::cpu, forward),
    Kernels<ops::RelativePositionBiasBackward>::add(Device::Kind::cpu, backward),
};

}  // namespace
}  // namespace trainer::cpu
