// The instruction sets of this machine, one after the other; all of them again at the end.
#pragma once

#include <hwy/highway.h>

#include "tests/catch.h"

namespace trainer::cpu {

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

}  // namespace trainer::cpu
