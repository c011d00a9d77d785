#include "lib/ops/layout.h"

#include "lib/backend/cpu/parallel.h"

namespace trainer::cpu {
namespace {

constexpr int64_t tile = 32;

/// Tile by tile, so that the cache lines of both sides are used whole. Only sizes matter, so floats move as
/// integers.
template <class T>
void swap_axes(const T* x, T* y, int64_t rows, int64_t columns, int64_t first_tile, int64_t last_tile) {
  const int64_t tiles_per_matrix = chunks_of(rows, tile);
  for (int64_t t = first_tile; t < last_tile; ++t) {
    const int64_t offset = t / tiles_per_matrix * rows * columns;
    const int64_t r0 = t % tiles_per_matrix * tile, r1 = std::min(rows, r0 + tile);
    for (int64_t c0 = 0; c0 < columns; c0 += tile) {
      const int64_t c1 = std::min(columns, c0 + tile);
      for (int64_t c = c0; c < c1; ++c) {
        for (int64_t r = r0; r < r1; ++r) y[offset + c * rows + r] = x[offset + r * columns + c];
      }
    }
  }
}

void swap_axes_kernel(const Tensor& x, Tensor& y) {
  const int64_t rows = x.size(1), columns = x.size(2);
  if (x.numel() == 0) return;
  const int64_t tiles = x.size(0) * chunks_of(rows, tile);
  const auto move = [&]<class T>(T) {
    const T* px = reinterpret_cast<const T*>(x.raw());
    T* py = reinterpret_cast<T*>(y.raw());
    parallel_for(tiles, chunks_of(elementwise_grain, tile * columns),
                 [=](int64_t first, int64_t last) { swap_axes(px, py, rows, columns, first, last); });
  };
  switch (size_of(x.dtype())) {
    case 8:
      return move(uint64_t{});
    case 4:
      return move(uint32_t{});
    case 2:
      return move(uint16_t{});
    default:
      return move(uint8_t{});
  }
}

[[maybe_unused]] const bool added = Kernels<ops::SwapAxes>::add(Device::Kind::cpu, swap_axes_kernel);

}  // namespace
}  // namespace trainer::cpu
