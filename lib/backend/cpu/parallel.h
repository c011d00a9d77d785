// Loops over the threads of one pool: OpenMP's, which oneDNN uses as well.
//
// Ranges are split statically, and reductions go over chunks that depend on the shape alone and are combined
// in order: results depend neither on timing nor (those of our own kernels) on the number of threads; those
// of oneDNN do, but for deterministic mode (pieces.h).
#pragma once

#include <algorithm>
#include <cstdint>

#include "lib/tensor/rehearsal.h"

namespace trainer::cpu {

/// Threads that compute, the calling one included. At first OpenMP's default (OMP_NUM_THREADS or the cores of
/// the affinity mask).
int threads();
/// Throws Error(Exit::usage) unless n >= 1; never more than OMP_THREAD_LIMIT allows. Takes effect for kernels started afterwards, from any thread.
void set_threads(int n);

/// DETERMINISTIC: oneDNN's results do not depend on the number of threads either; see pieces.h. At first off.
/// Takes effect for kernels started afterwards, from any thread.
bool deterministic();
void set_deterministic(bool);

/// Elements of a cheap elementwise loop that take about as long as waking the pool pays for (some
/// microseconds).
inline constexpr int64_t elementwise_grain = 16384;

/// Sets OpenMP's thread count for the calling thread, which is what oneDNN reads, and restores it.
class ThreadScope {
 public:
  explicit ThreadScope(int n);
  ~ThreadScope();
  ThreadScope(const ThreadScope&) = delete;
  ThreadScope& operator=(const ThreadScope&) = delete;

 private:
  int before_;
};

namespace detail {
void run_parts(int64_t parts, void (*part)(const void* context, int64_t index), const void* context);
}

/// Calls f(begin, end) on disjoint ranges that cover [0, n), at most one per thread and, if there are
/// several, each of at least `grain`; a single range runs on the calling thread. The first exception of f
/// is thrown when all have ended. In a rehearsal there are no calls.
template <class F>
void parallel_for(int64_t n, int64_t grain, const F& f) {
  if (Rehearsal::active()) [[unlikely]]
    return;
  const int64_t parts = std::min<int64_t>(threads(), n / std::max<int64_t>(grain, 1));
  if (parts <= 1) {
    if (n > 0) f(int64_t{0}, n);
    return;
  }
  struct Context {
    const F& f;
    int64_t n, parts;
  } const context{f, n, parts};
  detail::run_parts(
      parts,
      [](const void* p, int64_t i) {
        const auto& c = *static_cast<const Context*>(p);
        c.f(c.n * i / c.parts, c.n * (i + 1) / c.parts);
      },
      &context);
}

/// Before a loop in which each thread takes `bytes` of the pool: lib/tensor/storage.h, reserve().
void reserve_for_threads(int64_t bytes);

/// Number of chunks of at most `chunk` elements in [0, n).
constexpr int64_t chunks_of(int64_t n, int64_t chunk) { return (n + chunk - 1) / chunk; }

/// Calls f(index, begin, end, mine) for every chunk of [0, n); a thread takes at least `grain` elements, and
/// `mine` is what of_thread() made for all chunks that it takes.
template <class OfThread, class F>
void parallel_chunks(int64_t n, int64_t chunk, int64_t grain, const OfThread& of_thread, const F& f) {
  parallel_for(chunks_of(n, chunk), chunks_of(grain, chunk), [&](int64_t first, int64_t last) {
    auto mine = of_thread();
    for (int64_t i = first; i < last; ++i) f(i, i * chunk, std::min(n, (i + 1) * chunk), mine);
  });
}

/// Calls f(index, begin, end) for every chunk of [0, n).
template <class F>
void parallel_chunks(int64_t n, int64_t chunk, int64_t grain, const F& f) {
  const auto nothing = [] { return 0; };
  parallel_chunks(n, chunk, grain, nothing,
                  [&](int64_t i, int64_t begin, int64_t end, int) { f(i, begin, end); });
}

}  // namespace trainer::cpu
