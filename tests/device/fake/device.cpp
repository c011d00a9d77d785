// A device of kind cuda for tests. It computes as ref does, but its memory is not the host's: what it hands
// out are addresses without memory, so that a host that reads or writes there ends with SIGSEGV. The bytes
// lie elsewhere, where only this library's kernels and copies find them.
#include <sys/mman.h>

#include <cstdint>
#include <cstring>
#include <mutex>

#include "lib/base/error.h"
#include "lib/tensor/device.h"
#include "tests/device/fake/memory.h"

namespace trainer::fake {
namespace {

/// Both halves of one range of addresses: nothing can be read or written in the first, which is what the
/// device hands out, and the bytes are at the same place in the second. Addresses are not used twice.
class Memory {
 public:
  Memory() {
    void* range = ::mmap(nullptr, 2 * size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    check(range != MAP_FAILED, "the fake device gets no addresses");
    begin_ = static_cast<std::byte*>(range);
  }

  std::byte* take(size_t bytes) {
    bytes = whole_pages(bytes);
    const std::lock_guard lock(mutex_);
    check(bytes <= size - used_, "out of memory: {} bytes of the fake device were refused", bytes);
    std::byte* const address = begin_ + used_;
    check(::mprotect(address + size, bytes, PROT_READ | PROT_WRITE) == 0, "the fake device has no memory");
    used_ += bytes;
    return address;
  }
  void give_back(void* address, size_t bytes) {
    ::madvise(at(address), whole_pages(bytes), MADV_DONTNEED);
    ::mprotect(at(address), whole_pages(bytes), PROT_NONE);
  }

  std::byte* at(const void* address) const {
    const auto offset = static_cast<size_t>(static_cast<const std::byte*>(address) - begin_);
    check(offset < size, "the fake device was given an address of the host");
    return begin_ + size + offset;
  }

 private:
  static constexpr size_t size = size_t{4} << 30, page = 4096;
  static size_t whole_pages(size_t bytes) { return (bytes + page - 1) / page * page; }

  std::byte* begin_ = nullptr;
  size_t used_ = 0;
  std::mutex mutex_;
};

/// Leaked: tensors with static lifetime are released after main.
Memory& memory() {
  static auto* memory = new Memory;
  return *memory;
}

/// Two devices, whose work is done as soon as it is queued.
class FakeCuda final : public Backend {
 public:
  void* allocate(size_t bytes, int) override { return memory().take(bytes); }
  void release(void* p, size_t bytes, int) override { memory().give_back(p, bytes); }
  void copy(void* to, Device to_device, const void* from, Device from_device, size_t bytes) override {
    if (!to_device.is_host()) to = memory_at(to);
    if (!from_device.is_host()) from = memory_at(from);
    std::memcpy(to, from, bytes);
  }
  void fill_zero(void* p, size_t bytes, int) override { std::memset(memory_at(p), 0, bytes); }
  void synchronize(int) override {}
  int count() const override { return 2; }
  DeviceInfo info(int) const override { return {"fake", int64_t{4} << 30, int64_t{4} << 30}; }
};

[[maybe_unused]] const bool added = add_backend(Device::Kind::cuda, std::make_unique<FakeCuda>());

}  // namespace

std::byte* memory_at(const void* address) { return memory().at(address); }

}  // namespace trainer::fake
