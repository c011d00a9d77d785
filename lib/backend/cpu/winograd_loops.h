// The loops of Winograd's convolution F(4x4, 3x3) (Lavin and Gray, "Fast Algorithms for Convolutional Neural
// Networks", 2016): windows of 6x6 inputs give tiles of 4x4 outputs. After a linear transform of windows,
// filters and tiles a convolution is 36 independent matrix products.
//
//   Y = A^T [ (G g G^T) . (B^T d B) ] A      d 6x6 input, g 3x3 filter, Y 4x4 output, . elementwise
//
// and its derivatives are the transposed maps. The interpolation points are 0, +-5/8, +-3/2 and infinity: as
// cheap as Lavin's 0, +-1, +-2, with less than half their rounding error.
//
// Pointers in, pointers out: no tensors, no threads.
#pragma once

#include <cstdint>

#include "lib/backend/cpu/floats.h"

namespace trainer::cpu::winograd {

inline constexpr int64_t tile = 4;       ///< rows and columns of outputs
inline constexpr int64_t window = 6;     ///< of inputs
inline constexpr int64_t matrices = 36;  ///< window * window
inline constexpr int64_t line = 16;      ///< floats of a cache line
/// Channels that lie side by side in a left factor.
inline constexpr int64_t block_width = 64;
/// Channels that lie side by side in a right factor and in a product: two vectors of this machine.
int64_t panel_width();

/// Images [N, height, width, channels], f32 or bf16, cut into tiles_h x tiles_w tiles each; a tile's window begins at
/// (4 i - pad_h, 4 j - pad_w). Windows and tiles may reach over the edges.
struct Map {
  Elements data;
  int64_t height, width, channels;
  int64_t tiles_h, tiles_w;
  int64_t pad_h = 0, pad_w = 0;
};

/// 36 matrices [rows, width] for each group of `width` channels. The last group may have fewer channels; what
/// is missing from its last vector is zero, the rest undefined.
struct Matrices {
  float* data;
  int64_t rows, width;

  /// Distance between two matrices, floats. An odd number of cache lines, so that the 36 elements of a tile
  /// or filter do not compete for few sets of a cache.
  int64_t step() const { return rows * width + line; }
  float* group(int64_t i) const { return data + i * matrices * step(); }
  static int64_t floats(int64_t rows, int64_t width, int64_t channels) {
    const int64_t groups = (channels + width - 1) / width;
    return groups * Matrices{nullptr, rows, width}.step() * matrices;
  }
};

/// A range of channels.
struct Range {
  int64_t begin, end;
  int64_t size() const { return end - begin; }
};

/// B^T d B of the windows of tiles [first, first + count), into rows [row, row + count). `zeros` has at least as
/// many zeros as x has channels.
void transform_input(const Map& x, const float* zeros, int64_t first, int64_t count, const Matrices& to,
                     int64_t row);
/// A dY A^T of the tiles, likewise.
void transform_gradient(const Map& dy, const float* zeros, int64_t first, int64_t count, const Matrices& to,
                        int64_t row);
/// A^T M A + bias of tiles [first, first + m.rows): `channels` of y, those of one group.
void transform_output(const Matrices& m, const float* bias, Range channels, int64_t first, const Map& y);

/// Filters w [outputs, 3, 3, inputs].
struct Filters {
  float* data;
  int64_t outputs, inputs;
};
/// G g G^T into one group of right factors: a row for each of the channels k, a column for each of n.
/// Forward: k counts inputs and n outputs. Otherwise, for the gradient of the data, k counts outputs and n
/// inputs, and filters are turned by 180 degrees.
void transform_filters(const Filters& w, bool forward, Range k, Range n, const Matrices& u);
/// G^T dU G of one group of products, a row for each of `outputs` and a column for each of `inputs`.
void transform_filter_gradient(const Matrices& du, Range outputs, Range inputs, const Filters& dw);

/// `count` products c = a b or c += a b; consecutive matrices lie `a_step` ... apart. b is [depth,
/// panel_width()], c [rows, panel_width()], and the first `columns` of a panel are computed.
struct Products {
  const float *a, *b;
  float* c;
  int64_t a_step, b_step, c_step;
  int64_t count, rows, depth, columns;
  bool add;
};
/// a is [rows, block_width], its first `depth` columns.
void multiply(const Products&);
/// a is [depth, block_width], its first `rows` columns: the transposed left factor.
void multiply_transposed(const Products&);

}  // namespace trainer::cpu::winograd
