#include "lib/optim/schedule.h"

namespace trainer::optim {

double Schedule::lr(int64_t done) const {
  if (done >= horizon_.warmup_steps) return after_warmup(done);
  const double rise = (horizon_.base_lr - horizon_.warmup_lr) / static_cast<double>(horizon_.warmup_steps);
  return horizon_.warmup_lr + static_cast<double>(done) * rise;
}

Schedules& schedules() {
  static Schedules all("schedule", "TRAIN.LR_SCHEDULER");
  return all;
}

}  // namespace trainer::optim
