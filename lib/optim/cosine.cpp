// Half a cosine from base_lr down to min_lr, once (Loshchilov and Hutter, 2017; timm's CosineLRScheduler).
#include <cmath>
#include <numbers>

#include "lib/config/fields.h"
#include "lib/optim/schedule.h"

namespace trainer::optim {
namespace {

class Cosine final : public Schedule {
 public:
  struct Config {
    bool warmup_prefix = true;
    void fields(config::Fields& f) {
      f("WARMUP_PREFIX", warmup_prefix, "cosine: the decay begins after the warm-up, not beneath it");
    }
  };

  Cosine(const Config& config, const ScheduleArgs& h)
      : Schedule(h), start_(config.warmup_prefix ? h.warmup_steps : 0), length_(h.total_steps - start_) {}

 protected:
  double after_warmup(int64_t done) const override {
    const int64_t t = done - start_;
    if (t >= length_) return args().min_lr;
    const double phase = std::numbers::pi * static_cast<double>(t) / static_cast<double>(length_);
    return args().min_lr + 0.5 * (args().base_lr - args().min_lr) * (1 + std::cos(phase));
  }

 private:
  int64_t start_, length_;
};

const bool registered = schedules().add<Cosine>("cosine");

}  // namespace
}  // namespace trainer::optim
