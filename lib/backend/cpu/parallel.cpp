#include "lib/backend/cpu/parallel.h"

#include <omp.h>

#include <atomic>
#include <exception>

#include "lib/base/error.h"
#include "lib/tensor/storage.h"

namespace trainer::cpu {
namespace {

/// OpenMP may be set to give a smaller team than is asked for (OMP_DYNAMIC, OMP_MAX_ACTIVE_LEVELS), for which oneDNN's
/// threads would wait for ever. These are settings of the calling thread.
void insist_on_teams() {
  if (omp_get_dynamic() != 0) omp_set_dynamic(0);
  if (omp_get_max_active_levels() < 1) omp_set_max_active_levels(1);
}

std::atomic<int>& thread_count() {
  static std::atomic<int> count{std::min(omp_get_max_threads(), omp_get_thread_limit())};
  return count;
}

std::atomic<bool>& deterministic_mode() {
  static std::atomic<bool> on{false};
  return on;
}

}  // namespace

int threads() { return thread_count().load(std::memory_order_relaxed); }

void set_threads(int n) {
  check(Exit::usage, n >= 1, "THREADS: {} is not a number of threads; at least 1 is needed", n);
  thread_count().store(std::min(n, omp_get_thread_limit()), std::memory_order_relaxed);
}

bool deterministic() { return deterministic_mode().load(std::memory_order_relaxed); }

void set_deterministic(bool on) { deterministic_mode().store(on, std::memory_order_relaxed); }

ThreadScope::ThreadScope(int n) : before_(omp_get_max_threads()) {
  insist_on_teams();
  if (n != before_) omp_set_num_threads(n);
}

ThreadScope::~ThreadScope() {
  if (omp_get_max_threads() != before_) omp_set_num_threads(before_);
}

void reserve_for_threads(int64_t bytes) { reserve(static_cast<size_t>(bytes), threads(), Device{}); }

void detail::run_parts(int64_t parts, void (*part)(const void*, int64_t), const void* context) {
  insist_on_teams();
  // Always the whole team, idle or not: libgomp ends the threads that a smaller team does without and starts
  // them again later.
  std::exception_ptr first;  // none may leave the region
#pragma omp parallel num_threads(threads())
  {
    const int64_t team = omp_get_num_threads();  // 1 inside another parallel region
    try {
      for (int64_t i = omp_get_thread_num(); i < parts; i += team) part(context, i);
    } catch (...) {
#pragma omp critical
      if (!first) first = std::current_exception();
    }
  }
  if (first) std::rethrow_exception(first);
}

}  // namespace trainer::cpu
