// Dynamic loss scaling (Micikevicius et al., 2018; torch.amp.GradScaler): gradients of a scaled loss do not
// vanish in f16, and the update takes the scale out again.
#pragma once

#include <algorithm>
#include <cstdint>

#include "lib/checkpoint/archive.h"

namespace trainer::train {

class LossScale {
 public:
  /// Off: the scale is 1 for good.
  explicit LossScale(bool on) : on_(on), value_(on ? 0x1p16 : 1) {}

  double value() const { return value_; }
  /// It cannot become smaller: what is not finite now is not so because of the scale.
  bool at_floor() const { return value_ <= 1; }

  /// After each step, on all ranks alike. Halves after one whose gradients were not finite; doubles after
  /// 2000 good ones in a row.
  void update(bool finite) {
    if (!on_) return;
    good_steps_ = finite ? good_steps_ + 1 : 0;
    if (!finite) value_ = std::max(value_ / 2, 1.0);
    if (good_steps_ < growth_interval) return;
    value_ = std::min(value_ * 2, 0x1p24);
    good_steps_ = 0;
  }

  /// A run that goes on in another precision begins with the scale that this one begins with.
  void state(checkpoint::Archive& a) {
    LossScale stored = *this;
    a("on", stored.on_), a("value", stored.value_), a("good_steps", stored.good_steps_);
    if (stored.on_ == on_) *this = stored;
  }

 private:
  static constexpr int64_t growth_interval = 2000;
  bool on_;
  double value_;
  int64_t good_steps_ = 0;
};

}  // namespace trainer::train
