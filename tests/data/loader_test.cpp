#include "lib/data/loader.h"

#include <atomic>
#include <cmath>
#include <condition_variable>
#include <mutex>
#include <set>

#include "lib/base/system.h"
#include "tests/error_of.h"

namespace trainer::data {
namespace {

/// Samples of two values: their number and a random one. Some of them fail or block.
class Probe : public Dataset {
 public:
  explicit Probe(int64_t size) : size_(size) {
    spec_ = {.input = {2}, .target_dtype = DType::i64, .num_classes = 10};
  }
  const Spec& spec() const override { return spec_; }
  int64_t size() const override { return size_; }
  std::string name_of(int64_t index) const override { return fmt::format("probe: sample {}", index); }

  void read(int64_t index, const Rng& rng, const Sample& into) const override {
    ++reads;
    if (index == fails_at) fail(Exit::data, "the picture is broken");
    if (index == throws_at) throw std::runtime_error("something else");
    if (index == blocks_at) {
      std::unique_lock lock(mutex);
      released.wait(lock, [this] { return open; });
    }
    into.input[0] = static_cast<float>(index);
    into.input[1] = rng.uniform(static_cast<uint64_t>(index), 0);
    into.label[0] = index % 10;
  }

  void release() {
    const std::lock_guard lock(mutex);
    open = true;
    released.notify_all();
  }

  int64_t fails_at = -1, throws_at = -1, blocks_at = -1;
  mutable std::atomic<int64_t> reads = 0;

 private:
  int64_t size_;
  Spec spec_;
  mutable std::mutex mutex;
  mutable std::condition_variable released;
  bool open = false;
};

struct Recorded {
  std::vector<int64_t> samples, labels, positions, sizes;
  std::vector<float> values;
  bool operator==(const Recorded&) const = default;
};

void record(const Batch& batch, Recorded& all) {
  CHECK(batch.input.shape() == Shape{batch.size(), 2});
  CHECK(batch.target.shape() == Shape{batch.size()});
  all.samples.insert(all.samples.end(), batch.samples.begin(), batch.samples.end());
  for (const float v : batch.input.span<float>()) all.values.push_back(v);
  for (const int64_t v : batch.target.span<int64_t>()) all.labels.push_back(v);
  all.positions.push_back(batch.position);
  all.sizes.push_back(batch.global_size);
}

Recorded rest(Loader& loader) {
  Recorded all;
  for (Batch batch; loader.next(batch);) record(batch, all);
  return all;
}

LoaderConfig workers(int64_t n, double timeout = 60) { return {.num_workers = n, .timeout = timeout}; }

SamplerConfig shuffled(int64_t size) {
  return {.size = size, .batch_size = 8, .shuffle = true, .drop_last = true, .seed = 5};
}

void wait_for_reads(const Probe& dataset, int64_t reads) {
  for (const double begin = now(); dataset.reads < reads && now() - begin < 20;) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
}

TEST_CASE("batches are the same for any number of workers") {
  const auto dataset = std::make_shared<Probe>(103);
  std::vector<Recorded> of;
  for (const int64_t n : {0, 1, 4, 40}) {
    Loader loader(dataset, Sampler(shuffled(103)), workers(n));
    CHECK(loader.batches_per_epoch() == 12);
    Recorded all;
    for (const int64_t epoch : {0, 1}) {
      loader.start(epoch);
      for (Batch batch; loader.next(batch);) {
        CHECK(batch.epoch == epoch);
        record(batch, all);
      }
      Batch none;
      CHECK_FALSE(loader.next(none));
    }
    of.push_back(all);
  }
  CHECK(of[0].samples.size() == 2 * 96);
  CHECK(of[0].positions[3] == 24);
  for (const auto& other : of) CHECK(other == of[0]);
  for (size_t i = 0; i < of[0].samples.size(); ++i) {
    CHECK(of[0].values[2 * i] == static_cast<float>(of[0].samples[i]));
    CHECK(of[0].labels[i] == of[0].samples[i] % 10);
  }
}

TEST_CASE("a sample's random numbers depend on seed, epoch and sample only") {
  const auto dataset = std::make_shared<Probe>(16);
  Loader shuffling(dataset, Sampler({.size = 16, .batch_size = 4, .shuffle = true, .seed = 5}), workers(2));
  Loader in_order(dataset, Sampler({.size = 16, .batch_size = 7, .seed = 5}), workers(2));
  const auto draws = [](Loader& loader, int64_t epoch) {
    std::vector<float> by_sample(16);
    loader.start(epoch);
    for (Batch batch; loader.next(batch);) {
      for (int64_t i = 0; i < batch.size(); ++i)
        by_sample[batch.samples[i]] = batch.input.data<float>()[2 * i + 1];
    }
    return by_sample;
  };
  CHECK(draws(shuffling, 1) == draws(in_order, 1));
  CHECK(draws(in_order, 1) != draws(in_order, 2));
}

TEST_CASE("an epoch can be resumed after any batch") {
  const auto dataset = std::make_shared<Probe>(100);
  for (const int64_t n : {0, 3}) {
    Loader loader(dataset, Sampler(shuffled(100)), workers(n));
    loader.start(4);
    Batch batch;
    Recorded begun;
    for (int i = 0; i < 5; ++i) {
      REQUIRE(loader.next(batch));
      record(batch, begun);
    }
    const int64_t position = batch.position + batch.global_size;
    CHECK(position == 40);
    const Recorded remaining = rest(loader);
    CHECK(remaining.samples.size() == 56);

    Loader resumed(dataset, Sampler(shuffled(100)), workers(2));
    resumed.start(4, position);
    CHECK(rest(resumed) == remaining);
    resumed.start(4, 96);  // fewer samples are left than a batch holds
    CHECK(rest(resumed) == Recorded{});
  }
}

TEST_CASE("evaluation reads every sample exactly once, whatever the number of ranks") {
  const auto dataset = std::make_shared<Probe>(27);
  for (const int64_t world : {1, 2, 3, 4}) {
    std::multiset<int64_t> seen;
    for (int64_t rank = 0; rank < world; ++rank) {
      Loader loader(dataset, Sampler({.size = 27, .batch_size = 5, .rank = rank, .world = world}),
                    workers(2));
      loader.start(0);
      const Recorded all = rest(loader);
      CHECK(static_cast<int64_t>(all.sizes.size()) == (27 + 5 * world - 1) / (5 * world));  // in step
      seen.insert(all.samples.begin(), all.samples.end());
    }
    CHECK(seen.size() == 27);
    CHECK(std::set(seen.begin(), seen.end()).size() == 27);
  }
}

TEST_CASE("a sample that cannot be read ends the epoch in its place, with its name") {
  const auto dataset = std::make_shared<Probe>(64);
  dataset->fails_at = 20;
  for (const int64_t n : {0, 1, 4}) {
    Loader loader(dataset, Sampler({.size = 64, .batch_size = 8}), workers(n));
    loader.start(0);
    Batch batch;
    CHECK(loader.next(batch));
    CHECK(loader.next(batch));
    for (int again = 0; again < 2; ++again) {
      CHECK(error_of([&] { loader.next(batch); }, Exit::data) == "probe: sample 20: the picture is broken");
    }
    loader.start(0, 24);  // behind it
    CHECK(rest(loader).samples.size() == 40);
  }
  dataset->fails_at = -1;
  dataset->throws_at = 3;
  Loader loader(dataset, Sampler({.size = 64, .batch_size = 8}), workers(2));
  loader.start(0);
  Batch batch;
  CHECK_THROWS_WITH(loader.next(batch), "probe: sample 3: something else");
}

TEST_CASE("a worker that is stuck is reported and left behind") {
  const auto dataset = std::make_shared<Probe>(64);
  dataset->blocks_at = 0;
  {
    Loader loader(dataset, Sampler({.size = 64, .batch_size = 8}), workers(2, 0.2));
    loader.start(0);
    wait_for_reads(*dataset, 9);  // the other worker's batch and the sample that blocks
    Batch batch;
    CHECK_THROWS_WITH(loader.next(batch),
                      ContainsSubstring("batch 0 of epoch 0 has not come in 0.2 s (DATA.TIMEOUT)") &&
                          ContainsSubstring("is reading probe: sample 0"));
  }  // does not wait for the worker
  dataset->release();
  for (const double begin = now(); dataset.use_count() > 1 && now() - begin < 20;) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  CHECK(dataset.use_count() == 1);  // the worker has ended
}

TEST_CASE("a loader may be destroyed or started again at any moment") {
  const auto dataset = std::make_shared<Probe>(400);
  for (int64_t taken = 0; taken < 30; ++taken) {
    Loader loader(dataset, Sampler(shuffled(400)), workers(1 + taken % 4));
    if (taken == 0) continue;  // never started
    loader.start(0);
    Batch batch;
    for (int64_t i = 0; i < taken; ++i) REQUIRE(loader.next(batch));
    if (taken % 3 == 0) {
      loader.start(1);
      loader.start(2);
      REQUIRE(loader.next(batch));
      CHECK(batch.epoch == 2);
      CHECK(batch.position == 0);
    }
  }
}

TEST_CASE("workers read at most two batches each ahead") {
  const auto dataset = std::make_shared<Probe>(800);
  Loader loader(dataset, Sampler({.size = 800, .batch_size = 8}), workers(3));
  loader.start(0);
  wait_for_reads(*dataset, 48);
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  CHECK(dataset->reads == 48);
}

TEST_CASE("the pool does not grow once the loader is there") {
  const auto dataset = std::make_shared<Probe>(5000);
  Loader loader(dataset, Sampler({.size = 5000, .batch_size = 1000}), workers(2));
  const auto before = pool_statistics({}).growths;
  for (int64_t epoch = 0; epoch < 3; ++epoch) {
    loader.start(epoch);
    rest(loader);
  }
  CHECK(pool_statistics({}).growths == before);
}

TEST_CASE("an empty dataset gives no batches") {
  for (const int64_t n : {0, 2}) {
    Loader loader(std::make_shared<Probe>(0), Sampler({.size = 0, .batch_size = 4}), workers(n));
    loader.start(0);
    CHECK(rest(loader) == Recorded{});
  }
}

}  // namespace
}  // namespace trainer::data
