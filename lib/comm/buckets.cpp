#include "lib/comm/reducer.h"

namespace trainer::comm {

std::vector<Range> cut_buckets(std::span<const Range> parameters, int64_t element_bytes,
                               const ReducerConfig& config) {
  const auto bytes = [&](int64_t begin, int64_t end) { return (end - begin) * element_bytes; };
  std::vector<Range> buckets;
  size_t first = 0;  // parameter of the last bucket
  for (size_t i = 0; i < parameters.size(); ++i) {
    if (parameters[i].begin == parameters[i].end) continue;
    const int64_t limit = buckets.size() == 1 ? config.first_bucket_bytes : config.bucket_bytes;
    if (!buckets.empty() && bytes(buckets.back().begin, parameters[i].end) <= limit) {
      buckets.back().end = parameters[i].end;
    } else {
      buckets.push_back(parameters[i]);
      first = i;
    }
  }
  if (buckets.empty()) return buckets;

  // Backward is over when the last bucket is complete, so that nothing hides its sum: it should be small.
  const int64_t end = buckets.back().end;
  size_t i = parameters.size();
  int64_t begin = end;
  while (i > first && (begin == end || bytes(parameters[i - 1].begin, end) <= config.first_bucket_bytes)) {
    if (parameters[--i].begin < end) begin = parameters[i].begin;
  }
  if (begin > buckets.back().begin) {
    buckets.back().end = parameters[i - 1].end;
    buckets.push_back({begin, end});
  }
  return buckets;
}

}  // namespace trainer::comm
