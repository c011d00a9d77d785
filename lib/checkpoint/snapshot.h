// Snapshot: a copy of tensors as they are now, taken in one go, so that training can go on while the copy is
// written.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "lib/checkpoint/items.h"

namespace trainer::checkpoint {

/// Memory for a copy, kept from one copy to the next.
class Snapshot {
 public:
  /// Gets memory for copies of so many bytes, physical pages included: without them the first copy would take
  /// three times as long. What an earlier take() returned is gone if the memory has to grow.
  void reserve(size_t bytes);

  /// The same items, over copies of their elements in host memory, valid until the next take(). Items that
  /// are neighbours in memory (the parameters of an arena) are copied together, by several threads if that
  /// pays.
  std::vector<Item> take(std::span<const Item>);

  /// Memory that a copy of these items needs.
  static size_t bytes_for(std::span<const Item>);

 private:
  Storage memory_;  // of the ref backend: conversions of what lies here use the calling thread alone
};

}  // namespace trainer::checkpoint
