// Loader: batches of a dataset, read ahead by worker threads.
//
//   Loader loader(dataset, Sampler({.size = dataset->size(), .batch_size = 64, .shuffle = true}), config);
//   loader.start(epoch);
//   for (Batch batch; loader.next(batch);) step(batch);
//
// Batches come in order and hold the same bits whatever the number of workers. A worker reads whole batches,
// at most two per worker ahead of the consumer.
#pragma once

#include <cstdint>
#include <memory>
#include <thread>
#include <vector>

#include "lib/data/dataset.h"
#include "lib/data/sampler.h"
#include "lib/tensor/tensor.h"

namespace trainer::data {

/// Keys of DATA that are about loading.
struct LoaderConfig {
  int64_t batch_size = 128;
  int64_t num_workers = 8;
  bool shuffle = true, drop_last = true, pin_memory = true;
  double timeout = 300;
  void fields(config::Fields&);
};

/// This rank's part of a global batch.
struct Batch {
  Tensor input;                  ///< f32 [N, ...spec.input]
  Tensor target;                 ///< i64 [N], or f32 [N, ...spec.target]
  std::vector<int64_t> samples;  ///< [N], their numbers in the dataset
  int64_t epoch = 0;
  int64_t first_row = 0;    ///< where this rank's part begins in the global batch
  int64_t position = 0;     ///< where the global batch begins in the epoch's order
  int64_t global_size = 0;  ///< samples of the global batch; the next one is at position + global_size

  /// N; 0 where a last batch has too few samples for this rank.
  int64_t size() const { return std::ssize(samples); }
};

class Loader {
 public:
  /// Workers are started here and live as long as the loader. They share the ownership of the dataset.
  Loader(std::shared_ptr<const Dataset>, const Sampler&, const LoaderConfig&);
  /// Waits for the samples that are being read, no longer; a worker that next() has found stuck is left
  /// behind.
  ~Loader();
  Loader(const Loader&) = delete;
  Loader& operator=(const Loader&) = delete;

  /// Begins an epoch at a position of its order (Batch::position + global_size of the last batch that was
  /// used). What was read ahead for an earlier start is dropped.
  void start(int64_t epoch, int64_t position = 0);

  /// The next batch, or false at the end of the epoch. Throws the error of a sample that could not be read,
  /// with its name, in the place of its batch; Error(Exit::data) if the batch has not come after DATA.TIMEOUT
  /// seconds. The memory of the batch that is passed in is used again.
  bool next(Batch&);

  /// Of a whole epoch.
  int64_t batches_per_epoch() const;
  /// Batches that a loader has memory for, beside the one that next() has given.
  static int64_t batches_ahead(const Sampler&, const LoaderConfig&);
  const Dataset& dataset() const;
  const Sampler& sampler() const;

 private:
  struct State;
  explicit Loader(std::shared_ptr<State>);
  std::shared_ptr<State> state_;
  std::vector<std::thread> workers_;
  bool stuck_ = false;
};

}  // namespace trainer::data
