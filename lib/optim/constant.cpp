// base_lr to the end.
#include "lib/config/fields.h"
#include "lib/optim/schedule.h"

namespace trainer::optim {
namespace {

class Constant final : public Schedule {
 public:
  struct Config {
    void fields(config::Fields&) {}
  };

  Constant(const Config&, const ScheduleArgs& h) : Schedule(h) {}

 protected:
  double after_warmup(int64_t) const override { return args().base_lr; }
};

const bool registered = schedules().add<Constant>("constant");

}  // namespace
}  // namespace trainer::optim
