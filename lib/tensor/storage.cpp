#include "lib/tensor/storage.h"

#include <algorithm>
#include <array>
#include <bit>
#include <map>
#include <mutex>

#include "lib/base/error.h"

namespace trainer {
namespace {

constexpr size_t max_bytes = size_t{1} << 49;

/// Size classes: multiples of 64 bytes up to 512, then eight per power of two, so that at most 1/8 is wasted.
constexpr size_t size_class(size_t bytes) {
  if (bytes <= 512) return std::max<size_t>(1, (bytes + 63) / 64) * 64;
  const size_t step = std::bit_floor(bytes - 1) / 8;
  return (bytes + step - 1) / step * step;
}

/// Position of a size class in a pool's table of free lists.
size_t class_index(size_t capacity) {
  if (capacity <= 512) return capacity / 64;
  const size_t floor = std::bit_floor(capacity - 1);
  return 9 + (std::bit_width(floor) - 10) * 8 + (capacity - floor) / (floor / 8) - 1;
}

}  // namespace

class Pool {
 public:
  explicit Pool(Device device) : device_(device) {}

  Storage::Block* take(size_t bytes) {
    const size_t capacity = checked_class(bytes);
    const std::lock_guard lock(mutex_);
    Storage::Block*& free = free_[class_index(capacity)];
    Storage::Block* block = free;
    if (block != nullptr) {
      free = block->next;
    } else {
      block = grow(capacity);
    }
    block->bytes = bytes;
    if (bytes > block->touched) {
      statistics_.touched += static_cast<int64_t>(bytes - block->touched);
      block->touched = bytes;
    }
    block->references.store(1, std::memory_order_relaxed);
    statistics_.in_use += static_cast<int64_t>(capacity);
    statistics_.peak = std::max(statistics_.peak, statistics_.in_use);
    return block;
  }

  void give_back(Storage::Block* block) {
    const std::lock_guard lock(mutex_);
    Storage::Block*& free = free_[class_index(block->capacity)];
    block->next = free;
    free = block;
    statistics_.in_use -= static_cast<int64_t>(block->capacity);
  }

  void reserve(size_t bytes, int64_t blocks) {
    const size_t capacity = checked_class(bytes);
    const std::lock_guard lock(mutex_);
    Storage::Block*& free = free_[class_index(capacity)];
    for (const Storage::Block* block = free; block != nullptr && blocks > 0; block = block->next) --blocks;
    for (; blocks > 0; --blocks) {
      Storage::Block* block = grow(capacity);
      block->next = free;
      free = block;
    }
  }

  PoolStatistics statistics() {
    const std::lock_guard lock(mutex_);
    return statistics_;
  }

 private:
  size_t checked_class(size_t bytes) const {
    if (bytes > max_bytes) [[unlikely]]
      fail(Exit::internal, "out of memory: {} bytes were requested on {}", bytes, device_.str());
    return size_class(bytes);
  }

  Storage::Block* grow(size_t capacity) {
    Backend& memory = backend(device_.kind);
    void* data = nullptr;
    try {
      data = memory.allocate(capacity, device_.index);
    } catch (const Error&) {  // blocks of other sizes may hold what is missing
      release_free_blocks();
      data = memory.allocate(capacity, device_.index);
    }
    auto* block = new Storage::Block;
    block->data = static_cast<std::byte*>(data);
    block->capacity = capacity;
    block->device = device_;
    block->pool = this;
    statistics_.reserved += static_cast<int64_t>(capacity);
    ++statistics_.growths;
    return block;
  }

  void release_free_blocks() {
    for (Storage::Block*& head : free_) {
      while (head != nullptr) {
        Storage::Block* block = head;
        head = block->next;
        backend(device_.kind).release(block->data, block->capacity, device_.index);
        statistics_.reserved -= static_cast<int64_t>(block->capacity);
        statistics_.touched -= static_cast<int64_t>(block->touched);
        delete block;
      }
    }
  }

  Device device_;
  std::mutex mutex_;
  std::array<Storage::Block*, 9 + 8 * 40> free_{};  // by size class, up to max_bytes
  PoolStatistics statistics_;
};

namespace {

/// Pools live until the process ends: static tensors may be released after main.
Pool& pool_of(Device device) {
  static std::mutex mutex;
  static auto* pools = new std::map<std::pair<Device::Kind, int>, Pool>;
  thread_local Pool* last = nullptr;
  thread_local Device last_device;
  if (last != nullptr && last_device == device) return *last;
  const std::lock_guard lock(mutex);
  last = &pools->try_emplace({device.kind, device.index}, device).first->second;
  last_device = device;
  return *last;
}

}  // namespace

Storage::Storage(size_t bytes, Device device) : block_(pool_of(device).take(bytes)) {}

Storage::Storage(void* data, size_t bytes, Device device, std::shared_ptr<const void> keep)
    : block_(new Block) {
  block_->data = static_cast<std::byte*>(data);
  block_->bytes = block_->capacity = bytes;
  block_->device = device;
  block_->keep = std::move(keep);
}

void Storage::drop() {
  if (block_ == nullptr || block_->references.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
  if (block_->pool != nullptr) {
    block_->pool->give_back(block_);
  } else {
    delete block_;
  }
}

PoolStatistics pool_statistics(Device device) { return pool_of(device).statistics(); }

void reserve(size_t bytes, int64_t blocks, Device device) {
  if (bytes > 0) pool_of(device).reserve(bytes, blocks);
}

}  // namespace trainer
