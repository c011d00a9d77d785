// Rehearsal: work that takes its memory as ever, and computes nothing. What a training step needs can so be
// known in the time that its allocations take, without touching that memory.
//
//   {
//     const Rehearsal rehearsal;
//     ...                                         // a step, with tensors of their real shapes
//   }
//   pool_statistics(Device{}).touched;            // what the step would have filled
//
// The CPU's kernels take part (lib/backend/cpu/parallel.h, onednn.h), and copying and zeroing of host memory.
// Elements hold whatever lay there: nothing may depend on them.
#pragma once

#include <utility>

namespace trainer {

/// On the thread that makes it, while it lives.
class Rehearsal {
 public:
  Rehearsal() : before_(std::exchange(active_, true)) {}
  ~Rehearsal() { active_ = before_; }
  Rehearsal(const Rehearsal&) = delete;
  Rehearsal& operator=(const Rehearsal&) = delete;

  static bool active() { return active_; }

 private:
  static constinit thread_local bool active_;
  bool before_;
};

}  // namespace trainer
