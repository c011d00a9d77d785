// Arenas of all sizes and their segments, for the cases of ops over arenas.
#pragma once

#include <algorithm>
#include <vector>

#include "lib/ops/flat.h"

namespace trainer::test {

/// Segments of all kinds in an arena of `size` elements: empty, single, long, with and without decay; the
/// last few elements belong to none.
inline std::vector<ops::Segment> segments(int64_t size) {
  const int64_t a = size / 3, b = size - size / 4;
  return {{0, a, 1, 0.05}, {a, a, 7, 7}, {a, b, 0.1, 0}, {b, std::max(b, size - 2), 2, 0.5}};
}

/// One segment for every `length` elements.
inline std::vector<ops::Segment> rows(int64_t size, int64_t length) {
  std::vector<ops::Segment> all;
  for (int64_t i = 0; i < size; i += length) all.push_back({i, std::min(size, i + length)});
  return all;
}

/// No elements, remainders of every vector length, and several chunks of a parallel loop.
inline std::vector<int64_t> arena_sizes() {
  std::vector<int64_t> all{0, 1000, 70001};
  for (int64_t size = 1; size <= 70; ++size) all.push_back(size);
  return all;
}

}  // namespace trainer::test
