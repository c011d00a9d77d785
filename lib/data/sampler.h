// Sampler: the order in which an epoch visits the samples, and what each rank reads of it.
//
// The order is global: it depends on seed and epoch, not on the number of ranks. It is cut into global
// batches of batch_size x world samples, and each global batch into one slice per rank. A position counts
// samples of an epoch's order; a run can resume at any position, with any number of ranks.
#pragma once

#include <cstdint>
#include <vector>

#include "lib/base/error.h"

namespace trainer::data {

struct SamplerConfig {
  int64_t size = 0;        ///< samples of the dataset
  int64_t batch_size = 1;  ///< per rank
  int64_t rank = 0, world = 1;
  bool shuffle = false;
  bool drop_last = false;  ///< leave out the samples that do not fill a global batch
  uint64_t seed = 0;
};

class Sampler {
 public:
  /// Throws Error(Exit::usage) if drop_last would drop every sample.
  explicit Sampler(const SamplerConfig&);

  /// All samples in the order of an epoch: as they are numbered, or shuffled by Rng(seed), "shuffle", epoch.
  std::vector<int64_t> order(int64_t epoch) const;

  int64_t global_batch() const { return config_.batch_size * config_.world; }
  /// Samples of the `count` global batches that begin at `position`; fewer at the end of an epoch.
  int64_t samples(int64_t position, int64_t count) const;
  /// Global batches from `position` to the end of an epoch.
  int64_t batches(int64_t position = 0) const;

  /// Positions [begin, end) that this rank reads of the global batch at [position, position + size). Without
  /// drop_last the last batch may be smaller: it is shared out as evenly as can be, nothing is repeated, and
  /// a rank's slice may be empty.
  struct Slice {
    int64_t begin = 0, end = 0;
    int64_t size = 0;
  };
  Slice slice(int64_t position) const;

  const SamplerConfig& config() const { return config_; }

 private:
  SamplerConfig config_;
};

}  // namespace trainer::data
