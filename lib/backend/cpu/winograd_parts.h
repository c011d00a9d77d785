// What the three directions of Winograd's convolution share: memory, the cut into tiles, the split among
// threads.
#pragma once

#include <algorithm>
#include <utility>

#include "lib/backend/cpu/onednn.h"
#include "lib/backend/cpu/parallel.h"
#include "lib/backend/cpu/winograd_loops.h"
#include "lib/ops/conv.h"

namespace trainer::cpu::winograd {

/// Memory for the length of a call, handed out piece by piece.
class Scratch {
 public:
  explicit Scratch(int64_t floats)
      : storage_(static_cast<size_t>(floats) * sizeof(float), Device{}),
        next_(reinterpret_cast<float*>(storage_.data())) {}
  float* take(int64_t floats) { return std::exchange(next_, next_ + floats); }
  const float* zeros(int64_t floats) {
    float* p = take(floats);
    std::fill_n(p, floats, 0.F);
    return p;
  }

 private:
  Storage storage_;
  float* next_;
};

constexpr int64_t up(int64_t n, int64_t step) { return chunks_of(n, step) * step; }

/// A map cut into tiles as the outputs of the convolution are: `outputs` [N, H, W, ...].
inline Map cut(const Tensor& t, const Shape& outputs, ops::Pair padding = 0) {
  const Shape& s = t.shape();
  return {.data = Elements("winograd", t),
          .height = s[1],
          .width = s[2],
          .channels = s[3],
          .tiles_h = chunks_of(outputs[1], tile),
          .tiles_w = chunks_of(outputs[2], tile),
          .pad_h = padding.h,
          .pad_w = padding.w};
}
/// Tiles that cover the maps.
inline int64_t tiles_of(const Shape& outputs) {
  return outputs[0] * chunks_of(outputs[1], tile) * chunks_of(outputs[2], tile);
}

inline Filters filters(const Tensor& w) {
  return {const_cast<float*>(w.data<float>()), w.size(0), w.size(3)};
}

/// Calls f(part, begin, end) for equal parts of [0, n), on a thread each.
template <class F>
void in_parts(int64_t n, int64_t parts, const F& f) {
  parallel_for(parts, 1, [&](int64_t first, int64_t last) {
    for (int64_t i = first; i < last; ++i) f(i, n * i / parts, n * (i + 1) / parts);
  });
}

/// The i-th `width` of n channels.
inline Range range(int64_t i, int64_t width, int64_t n) { return {i * width, std::min(n, (i + 1) * width)}; }

/// Floats of one group of matrices that have at most `rows` rows.
inline int64_t group_floats(int64_t rows, int64_t width) { return Matrices::floats(rows, width, width); }

/// Threads for the products of all tiles.
inline int64_t threads_for_products(int64_t tiles, int64_t inputs, int64_t outputs) {
  return threads_for(2.0 * static_cast<double>(matrices * tiles) * static_cast<double>(inputs * outputs));
}

}  // namespace trainer::cpu::winograd
