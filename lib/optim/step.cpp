// base_lr times DECAY_RATE for every DECAY_EPOCHS that have passed since the start of the run, warm-up
// included (StepLRScheduler of timm 0.4.12, which Swin was written for; later ones can count from the end of
// the warm-up).
#include <algorithm>
#include <cmath>

#include "lib/config/fields.h"
#include "lib/optim/schedule.h"

namespace trainer::optim {
namespace {

class Step final : public Schedule {
 public:
  struct Config {
    int64_t decay_epochs = 30;
    double decay_rate = 0.1;
    void fields(config::Fields& f) {
      f("DECAY_EPOCHS", decay_epochs, "step: epochs between two decays", {.min = 1});
      f("DECAY_RATE", decay_rate, "step: factor of each decay", {.min = 0});
    }
  };

  Step(const Config& config, const ScheduleArgs& h)
      : Schedule(h),
        rate_(config.decay_rate),
        interval_(std::max<int64_t>(1, config.decay_epochs * h.steps_per_epoch)) {}

 protected:
  double after_warmup(int64_t done) const override {
    return args().base_lr * std::pow(rate_, static_cast<double>(done / interval_));
  }

 private:
  double rate_;
  int64_t interval_;
};

const bool registered = schedules().add<Step>("step");

}  // namespace
}  // namespace trainer::optim
