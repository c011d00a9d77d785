// Loops over the segments of an arena (lib/ops/flat.h).
#pragma once

#include <algorithm>
#include <span>

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

}  // namespace trainer::cpu
