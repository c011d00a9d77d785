#include "lib/data/sampler.h"

#include <algorithm>

#include "tests/catch.h"

namespace trainer::data {
namespace {

/// The samples that all ranks read in one epoch from `position` on, in global order.
std::vector<int64_t> visited(SamplerConfig config, int64_t world, int64_t epoch, int64_t position = 0) {
  std::vector<int64_t> all;
  config.world = world;
  const Sampler first(config);
  const auto order = first.order(epoch);
  for (int64_t batch = 0; batch < first.batches(position); ++batch) {
    for (int64_t rank = 0; rank < world; ++rank) {
      config.rank = rank;
      const auto slice = Sampler(config).slice(position + batch * first.global_batch());
      CHECK(slice.size <= first.global_batch());
      for (int64_t at = slice.begin; at < slice.end; ++at) all.push_back(order[at]);
    }
  }
  return all;
}

TEST_CASE("an epoch is a permutation that depends on seed and epoch") {
  const Sampler sampler({.size = 100, .batch_size = 8, .shuffle = true, .seed = 3});
  auto order = sampler.order(0);
  CHECK(order == sampler.order(0));
  CHECK(order != sampler.order(1));
  CHECK(order != Sampler({.size = 100, .batch_size = 8, .shuffle = true, .seed = 4}).order(0));
  std::sort(order.begin(), order.end());
  CHECK(order == Sampler({.size = 100}).order(0));
}

TEST_CASE("ranks' slices form the global order") {
  for (const int64_t world : {1, 2, 3}) {
    // One global batch of 12 samples, whatever the number of ranks.
    const SamplerConfig config{
        .size = 100, .batch_size = 12 / world, .shuffle = true, .drop_last = true, .seed = 7};
    const auto order = Sampler({.size = 100, .shuffle = true, .seed = 7}).order(2);
    CHECK(visited(config, world, 2) == std::vector(order.begin(), order.begin() + 96));
    CHECK(visited(config, world, 2, 36) == std::vector(order.begin() + 36, order.begin() + 96));
    CHECK(visited(config, world, 2, 41) == std::vector(order.begin() + 41, order.begin() + 89));
  }
}

TEST_CASE("without drop_last every sample is read exactly once") {
  for (const int64_t world : {1, 2, 3, 4}) {
    for (const int64_t size : {1, 3, 16, 17, 31}) {
      const SamplerConfig config{.size = size, .batch_size = 4};
      CHECK(visited(config, world, 0) == Sampler(config).order(0));
    }
  }
}

TEST_CASE("a small last batch is shared out evenly") {
  const auto share = [](int64_t rank) {
    const auto slice = Sampler({.size = 18, .batch_size = 4, .rank = rank, .world = 4}).slice(16);
    CHECK(slice.size == 2);
    return slice.end - slice.begin;
  };
  CHECK(std::vector{share(0), share(1), share(2), share(3)} == std::vector<int64_t>{0, 1, 0, 1});
}

TEST_CASE("empty batches, and ranks and positions that do not exist, are refused") {
  CHECK_THROWS_WITH(Sampler({.size = 9, .batch_size = 0}), ContainsSubstring("9 samples in batches of 0"));
  CHECK_THROWS_WITH(Sampler({.size = 9, .rank = 2, .world = 2}), ContainsSubstring("rank 2 of 2"));
  const Sampler nine({.size = 9, .batch_size = 2});
  CHECK_THROWS_WITH(nine.batches(10), ContainsSubstring("position 10 of 9"));
  CHECK_THROWS_WITH(nine.slice(9), ContainsSubstring("no batch at position 9 of 9"));
}

TEST_CASE("a training split smaller than one batch is refused") {
  CHECK_THROWS_WITH(Sampler({.size = 100, .batch_size = 64, .world = 2, .drop_last = true}),
                    ContainsSubstring("DATA.BATCH_SIZE 64 on 2 ranks"));
  CHECK(Sampler({.size = 100, .batch_size = 64, .world = 2}).batches() == 1);
  CHECK(Sampler({.size = 0, .batch_size = 64}).batches() == 0);
}

}  // namespace
}  // namespace trainer::data
