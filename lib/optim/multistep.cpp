// base_lr times GAMMA from each of the epochs MULTISTEPS on, counted from the start of the run (Swin's
// MultiStepLRScheduler).
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>

#include "lib/config/fields.h"
#include "lib/optim/schedule.h"

namespace trainer::optim {
namespace {

class MultiStep final : public Schedule {
 public:
  struct Config {
    std::vector<int64_t> multisteps;
    double gamma = 0.1;
    void fields(config::Fields& f) {
      f("MULTISTEPS", multisteps, "multistep: epochs of the decays, ascending", {.min = 0});
      f("GAMMA", gamma, "multistep: factor of each decay", {.min = 0});
    }
  };

  MultiStep(const Config& config, const ScheduleArgs& h)
      : Schedule(h), gamma_(config.gamma), milestones_(config.multisteps) {
    check(Exit::usage, std::is_sorted(milestones_.begin(), milestones_.end()),
          "TRAIN.LR_SCHEDULER.MULTISTEPS {} is not ascending", config.multisteps);
    for (int64_t& milestone : milestones_) milestone *= h.steps_per_epoch;
    if (!milestones_.empty()) {  // the arguments of check() are evaluated either way
      check(Exit::usage, h.warmup_steps <= milestones_.front(),
            "TRAIN.LR_SCHEDULER.MULTISTEPS: the decay at epoch {} comes before the end of the warm-up "
            "(TRAIN.WARMUP_EPOCHS)",
            config.multisteps.front());
    }
  }

 protected:
  double after_warmup(int64_t done) const override {
    const auto passed = std::upper_bound(milestones_.begin(), milestones_.end(), done) - milestones_.begin();
    return args().base_lr * std::pow(gamma_, static_cast<double>(passed));
  }

 private:
  double gamma_;
  std::vector<int64_t> milestones_;  // optimizer updates
};

const bool registered = schedules().add<MultiStep>("multistep");

}  // namespace
}  // namespace trainer::optim
