// Reducer: sums the gradient arena over the ranks while backward still fills it.
//
// The arena is cut into buckets along the borders of parameters, from its front, which backward completes
// first: the first of 1 MB, so that the wire gets work early, then 25 MB each (Li et al., "PyTorch
// Distributed", VLDB 2020). A bucket is reduced by a thread of its own as soon as all its parameters are
// ready and all buckets before it have been begun: the order is the same on every rank.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "lib/comm/comm.h"

namespace trainer::comm {

struct ReducerConfig {
  int64_t first_bucket_bytes = int64_t{1} << 20;
  int64_t bucket_bytes = int64_t{25} << 20;
};

/// A parameter's elements of the arena.
struct Range {
  int64_t begin = 0, end = 0;
};

class Reducer {
 public:
  /// `parameters` in the order of the arena, without overlap. The comm and the arena have to outlive it. With
  /// one rank every call is free.
  Reducer(Comm&, Tensor& arena, std::span<const Range> parameters, const ReducerConfig& = {});
  ~Reducer();
  Reducer(const Reducer&) = delete;
  Reducer& operator=(const Reducer&) = delete;

  /// Before the last backward of a step.
  void start();
  /// Parameter `index`'s gradient is complete on this rank. Called at most once a step, from backward.
  void ready(int64_t index);
  /// After backward: parameters that were not ready() have no gradient on this rank; `zero(index)` is called
  /// for each, which has to fill its range with zeros unless the range holds a gradient of an earlier
  /// micro-batch. Waits until everything is summed, and `scalars` (f64) with it. Throws what a collective
  /// threw.
  void finish(Tensor& scalars, const std::function<void(int64_t index)>& zero);

  /// By parameter: some rank had a gradient for it in the last step.
  const std::vector<char>& used() const;

  /// Borders of the buckets, in elements; for tests and the plan that --dry-run prints.
  std::vector<Range> buckets() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace trainer::comm
