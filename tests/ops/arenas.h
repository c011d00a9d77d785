// Arenas of all sizes and their segments, for the cases of ops over arenas.
#pragma once

#include <algorithm>
#include <vector>

#include "lib/ops/flat.h"
#include "tests/catch.h"

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

/// The 16-bit copies of an arena, each type and none in turn by its size; zeros, so that it shows where they
/// were written.
inline Tensor copies(const Tensor& arena) {
  const int64_t size = arena.numel();
  if (size % 3 == 0) return {};
  return Tensor::zeros({size}, size % 3 == 1 ? DType::bf16 : DType::f16, arena.device());
}

/// The copies are the arena's elements rounded where segments(size) are, and as copies() made them elsewhere.
inline void check_copies(const Tensor& arena, const Tensor& copy) {
  if (!copy.defined()) return;
  Tensor expected = Tensor::zeros(copy.shape(), copy.dtype(), copy.device());
  for (const ops::Segment& s : segments(arena.numel()))
    expected.slice(s.begin, s.end).copy_from(arena.slice(s.begin, s.end).to(copy.dtype()));
  const Device host{Device::Kind::ref};
  const Tensor a = copy.to(host), b = expected.to(host);
  CHECK(std::equal(a.raw(), a.raw() + a.bytes(), b.raw()));
}

}  // namespace trainer::test
