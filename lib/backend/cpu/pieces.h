// How the work of oneDNN's primitives is cut.
//
// A primitive blocks its sums by the number of threads that it is made for. Normally one primitive, made for
// all threads, does the whole work. In deterministic mode the samples or rows are cut into pieces, as many
// for any number of threads; a primitive made for one thread computes each, and what they add up to is added
// in their order. Pieces of equal shape share a primitive, and there are at most two shapes.
//
// Team::apart cuts the work into a piece for each thread in the other mode, too.
#pragma once

#include <algorithm>
#include <cstdint>

#include "lib/backend/cpu/onednn.h"
#include "lib/backend/cpu/parallel.h"

namespace trainer::cpu {

/// Threads of one primitive that wait for each other within it (together), or each with one of its own.
enum class Team : uint8_t { together, apart };

class Pieces {
 public:
  /// Of `n` samples or rows that take `flops` operations together: at most `most` pieces, of at least
  /// `smallest`.
  Pieces(int64_t n, double flops, int64_t smallest = 1, int64_t most = 32, Team team = Team::together)
      : n_(n), threads_(threads_for(flops)) {
    static constexpr double worth_a_piece = 4e6;  // operations, some ten microseconds
    const int64_t largest_count = std::min(most, n / smallest);
    if (deterministic()) {
      alone_ = true;
      count_ = std::max<int64_t>(1, std::min(largest_count, static_cast<int64_t>(flops / worth_a_piece)));
    } else if (team == Team::apart && threads_ <= largest_count) {
      alone_ = true;
      count_ = threads_;
    }
  }

  int64_t count() const { return count_; }
  /// Samples or rows of the largest piece. The others have one less, or as many.
  int64_t largest() const { return chunks_of(n_, count_); }
  /// Threads for the whole work, and of the primitives that compute its pieces.
  int threads() const { return threads_; }
  int primitive_threads() const { return alone_ ? 1 : threads_; }

  /// Before a run: scratchpad(size) is what a piece of so many samples or rows takes of the pool meanwhile.
  template <class Scratchpad>
  void reserve(const Scratchpad& scratchpad) const {
    if (count_ == 1) return;
    reserve_for_threads(scratchpad(largest()));
    if (n_ % count_ != 0) reserve_for_threads(scratchpad(largest() - 1));
  }

  /// Calls f(index, begin, end) for every piece, by its number of threads.
  template <class F>
  void run(const F& f) const {
    if (count_ == 1) {
      const ThreadScope scope(primitive_threads());
      return f(int64_t{0}, int64_t{0}, n_);
    }
    parallel_for(count_, 1, [&](int64_t first, int64_t last) {
      const ThreadScope one(1);
      for (int64_t i = first; i < last; ++i) f(i, n_ * i / count_, n_ * (i + 1) / count_);
    });
  }

 private:
  int64_t n_, count_ = 1;
  bool alone_ = false;  // a primitive has one thread
  int threads_;
};

/// A result that is the sum of one per piece. The first piece's goes where the sum will be; without a target
/// there are none. A single one may be of any type, several are f32.
class Partials {
 public:
  Partials(const Pieces& pieces, size_t bytes, void* target)
      : count_(target == nullptr ? 1 : pieces.count()),
        floats_(static_cast<int64_t>(bytes / sizeof(float))),
        target_(target),
        more_(count_ == 1 ? Storage() : Storage(bytes * static_cast<size_t>(count_ - 1), Device{})) {}

  /// Pieces that a sum of this many bytes is worth: fewer of large ones, which are held for each.
  static int64_t most(size_t bytes) {
    static constexpr size_t enough = size_t{16} << 20;
    return std::clamp<int64_t>(static_cast<int64_t>(enough / std::max<size_t>(bytes, 1)), 8, 32);
  }

  void* operator[](int64_t i) const {
    return i == 0 || !more_ ? target_ : reinterpret_cast<float*>(more_.data()) + (i - 1) * floats_;
  }

  /// Makes the target the sum of all.
  void add() const {
    static constexpr int64_t block = 2048;  // stays in the first level of cache
    parallel_for(count_ == 1 ? 0 : floats_, elementwise_grain, [&](int64_t begin, int64_t end) {
      for (; begin < end; begin += block) {
        const int64_t n = std::min(block, end - begin);
        float* sum = static_cast<float*>(target_) + begin;
        for (int64_t i = 1; i < count_; ++i) {
          const float* from = static_cast<const float*>((*this)[i]) + begin;
          for (int64_t e = 0; e < n; ++e) sum[e] += from[e];
        }
      }
    });
  }

 private:
  int64_t count_, floats_;
  void* target_;
  Storage more_;
};

/// A tensor's memory from sample or row i on.
inline const std::byte* from_row(const Tensor& t, int64_t i) {
  return t.raw() + i * static_cast<int64_t>(t.bytes()) / t.size(0);
}

}  // namespace trainer::cpu
