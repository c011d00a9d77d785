#include "lib/data/sampler.h"

#include <algorithm>
#include <numeric>

#include "lib/base/rng.h"

namespace trainer::data {

Sampler::Sampler(const SamplerConfig& config) : config_(config) {
  check(config.size >= 0 && config.batch_size > 0, "sampler: {} samples in batches of {}", config.size,
        config.batch_size);
  check(config.rank >= 0 && config.rank < config.world, "sampler: rank {} of {}", config.rank, config.world);
  check(Exit::usage, !config.drop_last || config.size >= global_batch(),
        "a global batch of {} samples (DATA.BATCH_SIZE {} on {} ranks) is more than the training split "
        "has, {}; with DATA.DROP_LAST there is nothing to train on",
        global_batch(), config.batch_size, config.world, config.size);
}

std::vector<int64_t> Sampler::order(int64_t epoch) const {
  if (config_.shuffle) {
    return Rng(config_.seed).fork("shuffle").fork(static_cast<uint64_t>(epoch)).permutation(config_.size);
  }
  std::vector<int64_t> order(static_cast<size_t>(config_.size));
  std::iota(order.begin(), order.end(), 0);
  return order;
}

int64_t Sampler::batches(int64_t position) const {
  check(position >= 0 && position <= config_.size, "sampler: position {} of {}", position, config_.size);
  const int64_t left = config_.size - position;
  return config_.drop_last ? left / global_batch() : (left + global_batch() - 1) / global_batch();
}

int64_t Sampler::samples(int64_t position, int64_t count) const {
  const int64_t end = config_.drop_last ? config_.size / global_batch() * global_batch() : config_.size;
  return std::min(count * global_batch(), end - position);
}

Sampler::Slice Sampler::slice(int64_t position) const {
  const int64_t size = std::min(global_batch(), config_.size - position);
  check(position >= 0 && size > 0, "sampler: no batch at position {} of {}", position, config_.size);
  return {.begin = position + size * config_.rank / config_.world,
          .end = position + size * (config_.rank + 1) / config_.world,
          .size = size};
}

}  // namespace trainer::data
