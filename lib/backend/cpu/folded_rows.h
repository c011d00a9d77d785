// A matrix [rows, channels] seen with several rows side by side, so that loops over a row are long enough for
// wide vectors even if there are few channels. Column j belongs to channel j % channels.
#pragma once

#include <algorithm>
#include <cstdint>

#include "lib/backend/cpu/parallel.h"

namespace trainer::cpu {

struct FoldedRows {
  int64_t channels, fold = 1, rows, columns;

  /// `enough`: columns that are not widened any further; 0 leaves the rows as they are.
  FoldedRows(int64_t rows_, int64_t channels_, int64_t enough = 256)
      : channels(channels_), rows(rows_), columns(channels_) {
    while (rows % 2 == 0 && rows > 0 && 2 * columns <= enough) {
      rows /= 2;
      columns *= 2;
      fold *= 2;
    }
  }

  /// Rows whose sums stay in f32: they fit into the first or second level of cache, and are enough to make
  /// what happens once per block cheap.
  int64_t block() const { return std::clamp<int64_t>(8192 / std::max<int64_t>(columns, 1), 64, 512); }
  /// Rows of a partial result: whole blocks, at least 64k elements, at most 64 chunks. A function of the
  /// shape alone.
  int64_t chunk() const {
    const int64_t blocks =
        std::max({chunks_of(rows, 64 * block()), chunks_of(65536, block() * columns), int64_t{1}});
    return blocks * block();
  }
  /// Rows that are worth a thread of their own.
  int64_t grain() const { return chunks_of(elementwise_grain, std::max<int64_t>(columns, 1)); }
};

}  // namespace trainer::cpu
