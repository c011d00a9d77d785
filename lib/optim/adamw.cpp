// Adam with decoupled weight decay (Loshchilov and Hutter, 2019; torch.optim.AdamW).
//
// The bias correction's t is the number of the optimizer's update for all parameters. PyTorch counts per
// parameter, which differs only for one that receives gradients in some steps and not in others.
#include "lib/config/fields.h"
#include "lib/ops/adam.h"
#include "lib/optim/optimizer.h"

namespace trainer::optim {
namespace {

class AdamW final : public Optimizer {
 public:
  struct Config {
    double eps = 1e-8;
    std::vector<double> betas = {0.9, 0.999};
    void fields(config::Fields& f) {
      f("EPS", eps, "adamw: added to the root of the second moment", {.min = 0, .min_open = true});
      // 1 would divide by zero in the bias correction
      f("BETAS", betas, "adamw: decay rates of the two moments",
        {.min = 0, .max = 1, .max_open = true, .length = 2});
    }
  };

  AdamW(const Config& config, Parameters& parameters)
      : parameters_(parameters),
        args_{config.betas[0], config.betas[1], config.eps},
        exp_avg_(parameters.zeros()),
        exp_avg_sq_(parameters.zeros()) {}

  void step(const Tensor& control) override {
    ops::adamw_step(control, parameters_.segments(), args_, parameters_.gradients(), parameters_.values(),
                    exp_avg_, exp_avg_sq_, parameters_.copies());
  }

  void visit(const StateVisitor& visitor) override {
    visitor("exp_avg", exp_avg_);
    visitor("exp_avg_sq", exp_avg_sq_);
  }

 private:
  Parameters& parameters_;
  ops::AdamArgs args_;
  Tensor exp_avg_, exp_avg_sq_;
};

const bool registered = optimizers().add<AdamW>("adamw");

}  // namespace
}  // namespace trainer::optim
