// A number of threads, and deterministic mode, for the length of a scope.
#pragma once

#include "lib/backend/cpu/parallel.h"

namespace trainer::cpu {

class WithThreads {
 public:
  explicit WithThreads(int n) : before_(threads()) { set_threads(n); }
  ~WithThreads() { set_threads(before_); }
  WithThreads(const WithThreads&) = delete;
  WithThreads& operator=(const WithThreads&) = delete;

 private:
  int before_;
};

class WithDeterministic {
 public:
  WithDeterministic() : before_(deterministic()) { set_deterministic(true); }
  ~WithDeterministic() { set_deterministic(before_); }
  WithDeterministic(const WithDeterministic&) = delete;
  WithDeterministic& operator=(const WithDeterministic&) = delete;

 private:
  bool before_;
};

}  // namespace trainer::cpu
