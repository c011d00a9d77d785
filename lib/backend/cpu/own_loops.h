// Switches between oneDNN's kernels and loops of our own (winograd.h, depthwise.h, unfolded.h,
// attention_head.h).
#pragma once

#include <atomic>

namespace trainer::cpu {

/// Where loops of our own compute: nowhere, where they are faster than oneDNN, or wherever they can (for tests
/// and measurements).
enum class OwnLoops { off, fast, always };

/// The setting of one kind of loops; at first `fast`. Takes effect for kernels started afterwards, from any
/// thread.
class OwnLoopsSwitch {
 public:
  void set(OwnLoops where) { where_.store(where, std::memory_order_relaxed); }
  /// Whether to use them where they are possible, and `faster` or not.
  bool wants(bool faster) const {
    const OwnLoops where = where_.load(std::memory_order_relaxed);
    return where == OwnLoops::always || (where == OwnLoops::fast && faster);
  }

 private:
  std::atomic<OwnLoops> where_{OwnLoops::fast};
};

}  // namespace trainer::cpu
