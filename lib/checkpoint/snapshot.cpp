#include "lib/checkpoint/snapshot.h"

#include <sys/mman.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <functional>
#include <thread>

#include "lib/base/system.h"

namespace trainer::checkpoint {
namespace {

constexpr Device snapshot_device{Device::Kind::ref};

/// Neighbouring items' bytes in one block of memory, and where they go.
struct Run {
  Storage storage;
  size_t begin, end;  // bytes of `storage`
  size_t to = 0;      // bytes of the snapshot
};

struct Layout {
  std::vector<Run> runs;
  std::vector<size_t> run_of;  // by item
  size_t bytes = 0;
};

Layout lay_out(std::span<const Item> items) {
  Layout layout;
  layout.run_of.resize(items.size());
  std::vector<size_t> order(items.size());
  for (size_t i = 0; i < items.size(); ++i) order[i] = i;
  const auto place = [&](size_t i) { return items[i].value.raw(); };
  std::sort(order.begin(), order.end(),
            [&](size_t a, size_t b) { return std::less<>()(place(a), place(b)); });

  constexpr size_t gap = 4096;  // that is cheaper to copy than to leave out
  for (const size_t i : order) {
    const Tensor& t = items[i].value;
    const size_t begin = t.offset(), end = begin + t.bytes();
    if (!layout.runs.empty() && layout.runs.back().storage.same(t.storage()) &&
        begin <= layout.runs.back().end + gap) {
      layout.runs.back().end = std::max(layout.runs.back().end, end);
    } else {
      layout.runs.push_back({t.storage(), begin, end});
    }
    layout.run_of[i] = layout.runs.size() - 1;
  }

  constexpr size_t line = 64;
  for (Run& run : layout.runs) {
    // At the same place within a cache line, so that every element stays aligned.
    run.to = layout.bytes + reinterpret_cast<uintptr_t>(run.storage.data() + run.begin) % line;
    layout.bytes = (run.to + run.end - run.begin + line - 1) / line * line;
  }
  return layout;
}

/// Bytes from host memory to host memory. Cut into pieces for threads, but none so short that memcpy would no
/// longer go past the caches (glibc: from 3/4 of a thread's share of the last one).
constexpr size_t most_at_once = 128 << 20;
struct Piece {
  std::byte* to;
  const std::byte* from;
  size_t bytes;
};

/// One core does not use a memory's bandwidth up; a few do. Each takes the next piece when it has done one,
/// so that none is waited for that the system gives no time.
void copy_in_parallel(std::span<const Piece> pieces) {
  std::atomic<size_t> next = 0;
  const auto copy = [&] {
    for (size_t i = next++; i < pieces.size(); i = next++) {
      std::memcpy(pieces[i].to, pieces[i].from, pieces[i].bytes);
    }
  };
  size_t total = 0;
  for (const Piece& p : pieces) total += p.bytes;
  constexpr size_t worth_a_thread = 32 << 20;
  const size_t most = std::min<size_t>(4, static_cast<size_t>(available_cores()));
  std::vector<std::jthread> helpers;
  for (size_t i = 1; i < std::min(most, total / worth_a_thread); ++i) helpers.emplace_back(copy);
  copy();
}

}  // namespace

void Snapshot::reserve(size_t bytes) {
  if (bytes == 0 || (memory_ && memory_.bytes() >= bytes)) return;
  memory_ = {};
  void* data = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  check(Exit::weights, data != MAP_FAILED, "no memory for a copy of the training state: {} bytes", bytes);
  ::madvise(data, bytes, MADV_HUGEPAGE);
  const std::shared_ptr<void> keep(data, [bytes](void* p) { ::munmap(p, bytes); });
  memory_ = Storage(data, bytes, snapshot_device, keep);
  constexpr size_t page = 4096;
  auto* byte = static_cast<volatile std::byte*>(data);
  for (size_t i = 0; i < bytes; i += page) byte[i] = std::byte{0};
}

size_t Snapshot::bytes_for(std::span<const Item> items) { return lay_out(items).bytes; }

std::vector<Item> Snapshot::take(std::span<const Item> items) {
  const Layout layout = lay_out(items);
  reserve(std::max<size_t>(layout.bytes, 1));
  std::vector<Piece> pieces;
  for (const Run& run : layout.runs) {
    const size_t bytes = run.end - run.begin;
    if (run.storage.device().is_host()) {
      for (size_t at = 0; at < bytes; at += most_at_once) {
        pieces.push_back({memory_.data() + run.to + at, run.storage.data() + run.begin + at,
                          std::min(most_at_once, bytes - at)});
      }
    } else {
      const Shape shape{static_cast<int64_t>(bytes)};
      Tensor to = Tensor::over(memory_, run.to, shape, DType::u8);
      to.copy_from(Tensor::over(run.storage, run.begin, shape, DType::u8));
    }
  }
  copy_in_parallel(pieces);

  std::vector<Item> copies;
  for (size_t i = 0; i < items.size(); ++i) {
    const Item& item = items[i];
    const Run& run = layout.runs[layout.run_of[i]];
    const size_t offset = run.to + item.value.offset() - run.begin;
    copies.push_back(
        {item.name, Tensor::over(memory_, offset, item.value.shape(), item.value.dtype()), item.layout});
  }
  return copies;
}

}  // namespace trainer::checkpoint
