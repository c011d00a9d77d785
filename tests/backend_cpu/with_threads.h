// A number of threads for the length of a scope.
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

}  // namespace trainer::cpu
