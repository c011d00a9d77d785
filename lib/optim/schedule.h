// Schedule: the learning rate of every optimizer update, as Swin builds its schedules on timm's. One file
// each.
//
//   const auto schedule = schedules().make("cosine", config.group("TRAIN.LR_SCHEDULER"),
//                                          {.base_lr = 1e-3, .warmup_steps = 100, .total_steps = 1000});
//   schedule->lr(0);    // of the first update
#pragma once

#include <cstdint>

#include "lib/registry/registry.h"

namespace trainer::optim {

/// The run that a schedule spans. Learning rates are final: after scaling (lib/optim/lr_scaling.h).
struct ScheduleArgs {
  double base_lr = 0, warmup_lr = 0, min_lr = 0;
  int64_t warmup_steps = 0;     ///< optimizer updates; may exceed total_steps
  int64_t total_steps = 0;      ///< optimizer updates of the whole run
  int64_t steps_per_epoch = 0;  ///< optimizer updates
};

/// A function of the number of the update alone, so resuming needs no state.
class Schedule {
 public:
  explicit Schedule(const ScheduleArgs& args) : args_(args) {}
  virtual ~Schedule() = default;

  /// For an update that follows `done` others: lr(0) is the first one's. Rises linearly from warmup_lr to
  /// base_lr during the warm-up, which every schedule has.
  double lr(int64_t done) const;

 protected:
  /// The rest; done >= warmup_steps.
  virtual double after_warmup(int64_t done) const = 0;
  const ScheduleArgs& args() const { return args_; }

 private:
  ScheduleArgs args_;
};

/// By TRAIN.LR_SCHEDULER.NAME; keys in TRAIN.LR_SCHEDULER.
using Schedules = Registry<Schedule, const ScheduleArgs&>;
Schedules& schedules();

}  // namespace trainer::optim
