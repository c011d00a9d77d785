#include "lib/train/hooks/profile.h"

namespace trainer::train {

void ProfileHook::on_step(Trainer&, const StepReport& r) {
  profile_.stop();
  if (++seen_ <= warmup || !done_) return;
  seconds_ += r.seconds;
  if (++counted_ == steps_) finish();
}

void ProfileHook::on_boundary(Trainer&) {
  if (seen_ >= warmup && done_) profile_.start();
}

void ProfileHook::on_finish(Trainer&) {
  profile_.stop();
  if (counted_ > 0) finish();
}

void ProfileHook::finish() {
  if (const auto done = std::exchange(done_, nullptr)) done({profile_, counted_, seconds_});
}

}  // namespace trainer::train
