#include "lib/optim/schedule.h"

namespace trainer::optim {

double Schedule::lr(int64_t done) const {
  if (done >= args_.warmup_steps) return after_warmup(done);
  const double rise = (args_.base_lr - args_.warmup_lr) / static_cast<double>(args_.warmup_steps);
  return args_.warmup_lr + static_cast<double>(done) * rise;
}

Schedules& schedules() {
  static Schedules all("schedule", "TRAIN.LR_SCHEDULER");
  return all;
}

}  // namespace trainer::optim
