// Loops over the segments of an arena (lib/ops/flat.h).
#pragma once

#include <algorithm>
#include <span>

#include "lib/backend/cpu/elementwise.h"
#include "lib/backend/cpu/parallel.h"
#include "lib/ops/flat.h"

namespace trainer::cpu {

/// One parallel pass over an arena of n elements: update(segment, begin, end) for what a thread's range has
/// of each segment. `segment` is a reference into `segments`.
template <class Update>
void over_segments(std::span<const ops::Segment> segments, int64_t n, const Update& update) {
  parallel_for(n, elementwise_grain / 2, [&](int64_t begin, int64_t end) {
    for (const ops::Segment& s : segments) {
      const int64_t first = std::max(begin, s.begin), last = std::min(end, s.end);
      if (first < last) update(s, first, last);
    }
  });
}

/// The same for an update of the parameters that may have 16-bit copies: these are made block by block, of
/// what is still in the cache.
template <class Update>
void update_segments(std::span<const ops::Segment> segments, const Tensor& parameter, Tensor& copy,
                     const Update& update) {
  if (!copy.defined()) return over_segments(segments, parameter.numel(), update);
  static constexpr int64_t block = 4096;
  over_segments(segments, parameter.numel(), [&](const ops::Segment& s, int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; i += block) {
      const int64_t next = std::min(i + block, end);
      update(s, i, next);
      cast_elements(parameter, copy, i, next);
    }
  });
}

}  // namespace trainer::cpu
