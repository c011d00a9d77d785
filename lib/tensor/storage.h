// Memory of tensors: reference-counted blocks from a caching allocator, one pool per device.
//
// A block that is no longer used goes back to its pool and serves the next request of its size class: from
// the second step on, a training step of a fixed shape asks the system for nothing. The pools and the
// reference counts may be used from any thread; the bytes themselves are not synchronised.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>

#include "lib/tensor/device.h"

namespace trainer {

class Pool;

/// A handle on a block of device memory. Copies share the block.
class Storage {
 public:
  Storage() = default;
  /// Uninitialised memory, aligned to 64 bytes. 0 bytes are allowed. Throws Error naming the size when the
  /// device has no more.
  Storage(size_t bytes, Device device);
  /// External memory (a memory-mapped file), valid for as long as `keep` lives. Not pooled.
  Storage(void* data, size_t bytes, Device device, std::shared_ptr<const void> keep);
  Storage(const Storage& o) : block_(o.block_) { retain(); }
  Storage(Storage&& o) noexcept : block_(std::exchange(o.block_, nullptr)) {}
  Storage& operator=(Storage o) noexcept {
    std::swap(block_, o.block_);
    return *this;
  }
  ~Storage() { drop(); }

  explicit operator bool() const { return block_ != nullptr; }
  // The rest needs a block.
  std::byte* data() const { return block_->data; }
  size_t bytes() const { return block_->bytes; }
  Device device() const { return block_->device; }
  /// No other handle shares the block: it may be overwritten in place.
  bool unique() const { return block_->references.load(std::memory_order_acquire) == 1; }
  bool same(const Storage& o) const { return block_ == o.block_; }

 private:
  friend class Pool;
  struct Block {
    std::byte* data = nullptr;
    size_t bytes = 0;     // as requested
    size_t capacity = 0;  // of the size class
    size_t touched = 0;   // the most that was requested of it so far
    Device device;
    std::atomic<int> references{1};
    Pool* pool = nullptr;              // null: external memory
    Block* next = nullptr;             // in the pool's free list
    std::shared_ptr<const void> keep;  // owner of external memory
  };

  void retain() const {
    if (block_ != nullptr) block_->references.fetch_add(1, std::memory_order_relaxed);
  }
  void drop();
  Block* block_ = nullptr;
};

/// Counters of a device's pool.
struct PoolStatistics {
  int64_t in_use = 0;    ///< bytes of live blocks, rounded up to size classes
  int64_t peak = 0;      ///< the largest in_use so far
  int64_t reserved = 0;  ///< bytes taken from the backend: in_use and the cached blocks
  int64_t growths = 0;   ///< allocations that the cache could not serve
  /// Of `reserved`, bytes that requests have asked for: what a system that gives memory when it is written to
  /// has to give.
  int64_t touched = 0;
};
PoolStatistics pool_statistics(Device);

/// Lets the device's pool grow until at least `blocks` requests of `bytes` can be served at once: before threads
/// take memory at times of their own, so that what the pool holds does not depend on when they do.
void reserve(size_t bytes, int64_t blocks, Device);

}  // namespace trainer
