// Memory of tensors: blocks with a reference count, kept by a caching pool per device.
//
// A block that is no longer used goes back to its pool and serves the next request of its size class, header
// included: after the second step of a shape no pool grows and no allocator is called.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <utility>

#include "lib/tensor/device.h"

namespace trainer {

class Pool;

/// A handle on a block of device memory. Copies share the block.
class Storage {
 public:
  Storage() = default;
  /// Uninitialised, at least 64-byte aligned. Zero bytes are fine.
  Storage(size_t bytes, Device device);
  /// Memory that somebody else owns and keeps alive for as long as `keep` does (a memory-mapped file).
  Storage(void* data, size_t bytes, Device device, std::shared_ptr<const void> keep);
  Storage(const Storage& o) : block_(o.block_) { retain(); }
  Storage(Storage&& o) noexcept : block_(std::exchange(o.block_, nullptr)) {}
  Storage& operator=(Storage o) noexcept {
    std::swap(block_, o.block_);
    return *this;
  }
  ~Storage() { drop(); }

  explicit operator bool() const { return block_ != nullptr; }
  std::byte* data() const { return block_->data; }
  size_t bytes() const { return block_->bytes; }
  Device device() const { return block_->device; }
  /// No other handle shares the block: it may be overwritten in place.
  bool unique() const { return block_->references.load(std::memory_order_acquire) == 1; }
  bool same(const Storage& o) const { return block_ == o.block_; }

  struct Block {
    std::byte* data = nullptr;
    size_t bytes = 0;     // as requested
    size_t capacity = 0;  // of the size class
    Device device;
    std::atomic<int> references{1};
    Pool* pool = nullptr;  // null: owned by `keep`
    Block* next = nullptr;
    std::shared_ptr<const void> keep;
  };

 private:
  void retain() const {
    if (block_ != nullptr) block_->references.fetch_add(1, std::memory_order_relaxed);
  }
  void drop();
  Block* block_ = nullptr;
};

/// What a device's pool holds, bytes.
struct PoolStatistics {
  int64_t in_use = 0, peak = 0, reserved = 0;
  int64_t growths = 0;  ///< requests that had to ask the backend
};
PoolStatistics pool_statistics(Device);
void reset_peak(Device);
/// Gives cached blocks back to the system.
void trim_pool(Device);

}  // namespace trainer
