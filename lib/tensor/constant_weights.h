// ConstantWeights: memory that nobody writes while a scope lasts, so that what kernels derive from it (weights in the
// layout of a primitive) is made once and kept.
//
//   {
//     const ConstantWeights constant(memory);     // over the batches of an evaluation
//     ...                                         // each weight is copied into a layout by the first batch alone
//   }                                             // the copies' memory is back in the pool
//   optimizer.step(control);                      // writes the weights
//
// A scope is of the thread that makes it, as its copies are: other threads' kernels neither see nor wait for them.
// Scopes may be nested; they end in the reverse order. A copy lives until the scope ends in which it was made: an
// inner scope uses what an outer one has, and what it adds to that goes with it.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string_view>

#include "lib/tensor/tensor.h"

namespace trainer {

/// How a copy follows from the elements that it is made of: what else decides its bytes. Equal ones of the same
/// memory are the same copy.
struct Derivation {
  std::string_view name;             ///< of static storage
  std::array<int64_t, 4> numbers{};  ///< unused ones are 0
  bool operator==(const Derivation&) const = default;
};

class ConstantWeights {
 public:
  /// No tensor in `memory` is written before this ends, or before changed(). The span has to outlive it.
  explicit ConstantWeights(std::span<const Storage> memory);
  ~ConstantWeights();
  ConstantWeights(const ConstantWeights&) = delete;
  ConstantWeights& operator=(const ConstantWeights&) = delete;

  /// Forgets all copies of the calling thread's scopes: for who writes weights, wherever a scope may be open.
  static void changed();

  /// `bytes` on the source's device, filled by make(std::byte*): kept from an earlier call, if a scope of this thread
  /// has the source in its memory. Outside of scopes, and for other memory, they are made at each call. What a
  /// rehearsal has made, which has no values, serves rehearsals alone. Allocates nothing but the copy from the second
  /// scope on that keeps as many.
  template <class Make>
  static Storage derived(const Tensor& source, const Derivation& how, size_t bytes, const Make& make) {
    if (const Storage* kept = find(source, how)) return *kept;
    Storage copy(bytes, source.device());
    make(copy.data());
    add(source, how, copy);
    return copy;
  }
  /// derived() would keep a copy of it: for kernels that otherwise do with pieces of one, in a cache.
  static bool keeps(const Tensor& source);

  /// Copies that derived() has made so far on the calling thread, kept or not, and those of count_copy().
  static int64_t copies_made();
  /// A copy was made in pieces, without derived().
  static void count_copy();

 private:
  static const Storage* find(const Tensor& source, const Derivation&);
  static void add(const Tensor& source, const Derivation&, const Storage& copy);

  std::span<const Storage> memory_;
  ConstantWeights* outer_;
  size_t first_;  // of its copies among the thread's
};

}  // namespace trainer
