// Reducer: sums the gradient arena over the ranks while backward still fills it.
//
// The arena is cut into buckets along the borders of parameters, from its front, which backward completes
// first: the first of 1 MB, so that the wire gets work early, then 25 MB each (Li et al., "PyTorch
// Distributed", VLDB 2020), and a small one at the end, which no computation hides. A bucket is reduced by a
// thread of its own as soon as all its parameters are ready and all buckets before it have been begun: the
// order is the same on every rank.
//
//   for each micro-batch:
//     if (last) reducer.start();
//     backward, which calls reducer.ready(i) as soon as parameter i's gradient is complete
//   reducer.finish(scalars, [&](int64_t i) { fill i's range with zeros; });
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
  int64_t first_bucket_bytes = int64_t{1} << 20;  ///< of the last bucket as well
  int64_t bucket_bytes = int64_t{25} << 20;
};

/// A parameter's elements of the arena.
struct Range {
  int64_t begin = 0, end = 0;
};

class Reducer {
 public:
  /// `parameters` in the order of the arena, without overlap; gaps between them (padding) may be summed too.
  /// The arena is f32 or f64 [n]. It and the comm have to outlive this, and nobody else may call the comm
  /// between start() and finish(). With one rank every call is free.
  Reducer(Comm&, Tensor& arena, std::span<const Range> parameters, const ReducerConfig& = {});
  /// After start() without finish(): aborts the comm, since the other ranks wait for what will not come.
  ~Reducer();
  Reducer(const Reducer&) = delete;
  Reducer& operator=(const Reducer&) = delete;

  /// Before the last backward of a step.
  void start();
  /// Parameter `index`'s gradient is complete on this rank: at most once a backward, from the thread that
  /// calls start() and finish(). After start() it may be sent from now on; in the backwards before (earlier
  /// micro-batches) the call only notes that the range holds a gradient. Never throws, never allocates.
  void ready(int64_t index) noexcept;
  /// After backward: `zero(index)` is called for each parameter that was not ready() in any backward of the
  /// step, and has to fill its range with zeros. Waits until everything is summed, and `scalars` (f64, any
  /// shape) with it. Throws what a collective threw.
  void finish(Tensor& scalars, const std::function<void(int64_t index)>& zero);

  /// By parameter: some rank had a gradient for it in the last step. A parameter without should be left as it
  /// is; its range holds zeros.
  const std::vector<char>& used() const;

  /// Borders of the buckets, in elements; for tests and the plan that --dry-run prints.
  std::vector<Range> buckets() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// How a Reducer of more than one rank cuts up an arena whose elements have `element_bytes`: a bucket ends
/// before the parameter that would make it exceed its size, so that only a bucket of one parameter can be
/// larger. The last bucket is at most as large as the first may be (or one parameter).
std::vector<Range> cut_buckets(std::span<const Range> parameters, int64_t element_bytes,
                               const ReducerConfig& = {});

}  // namespace trainer::comm
