// Loops that are compiled per instruction set, on each that this machine has.
#pragma once

#include <hwy/highway.h>

#include <cstdint>

#include "tests/catch.h"

namespace trainer::cpu {

/// The instruction sets of this machine, one after the other; all of them again at the end.
class InstructionSets {
 public:
  InstructionSets() : all_(hwy::SupportedTargets()) {}
  ~InstructionSets() { hwy::SetSupportedTargetsForTest(0); }
  template <class F>
  void each(const F& f) const {
    for (int64_t left = all_; left != 0; left &= left - 1) {
      const int64_t target = left & -left;
      hwy::SetSupportedTargetsForTest(target);
      INFO("instruction set " << target);
      f();
    }
  }

 private:
  int64_t all_;
};

/// While it lives, loops are those for the oldest processor that the program runs on.
class OldestInstructionSet {
 public:
  OldestInstructionSet() {
    const int64_t all = hwy::SupportedTargets();  // newer ones have lower bits
    int64_t oldest = all;
    while ((oldest & (oldest - 1)) != 0) oldest &= oldest - 1;
    hwy::SetSupportedTargetsForTest(oldest);
  }
  ~OldestInstructionSet() { hwy::SetSupportedTargetsForTest(0); }
};

}  // namespace trainer::cpu
