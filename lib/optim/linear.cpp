// A straight line from base_lr, at the end of the warm-up, to a hundredth of it at the end of the run (Swin's
// LinearLRScheduler).
#include "lib/config/fields.h"
#include "lib/optim/schedule.h"

namespace trainer::optim {
namespace {

class Linear final : public Schedule {
 public:
  struct Config {
    void fields(config::Fields&) {}
  };

  Linear(const Config&, const ScheduleArgs& h) : Schedule(h) {}

 protected:
  double after_warmup(int64_t done) const override {
    constexpr double last = 0.01;  // Swin's lr_min_rate; MIN_LR is not read
    const int64_t t = done - args().warmup_steps, length = args().total_steps - args().warmup_steps;
    const double base = args().base_lr;
    const double progress = t >= length ? 1 : static_cast<double>(t) / static_cast<double>(length);
    return base - (base - base * last) * progress;
  }
};

const bool registered = schedules().add<Linear>("linear");

}  // namespace
}  // namespace trainer::optim
