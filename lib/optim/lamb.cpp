// LAMB: Adam's direction, as long for each tensor as the tensor itself, times the learning rate (You et al.,
// 2020, with timm's and NVIDIA's reading of it: decay is part of the direction, and tensors without decay
// take Adam's step as it is). The clipping of the global norm that belongs to it is TRAIN.CLIP_GRAD.
#include "lib/config/fields.h"
#include "lib/ops/adam.h"
#include "lib/ops/layerwise.h"
#include "lib/optim/optimizer.h"

namespace trainer::optim {
namespace {

class Lamb final : public Optimizer {
 public:
  struct Config {
    double eps = 1e-8;
    std::vector<double> betas = {0.9, 0.999};
    bool trust_clip = false, always_adapt = false;
    void fields(config::Fields& f) {
      f("EPS", eps, "lamb: the same (1e-6 in the paper)", {.min = 0, .min_open = true});
      f("BETAS", betas, "lamb: the same", {.min = 0, .max = 1, .max_open = true, .length = 2});
      f("TRUST_CLIP", trust_clip, "lamb: the trust ratio is at most 1");
      f("ALWAYS_ADAPT", always_adapt, "lamb: the trust ratio also holds where there is no weight decay");
    }
  };

  Lamb(const Config& config, Parameters& parameters)
      : parameters_(parameters),
        adam_{config.betas[0], config.betas[1], config.eps},
        trust_{.clip = config.trust_clip, .always = config.always_adapt},
        exp_avg_(parameters.zeros()),
        exp_avg_sq_(parameters.zeros()) {}

  void step(const Tensor& control) override {
    const auto& tensors = parameters_.tensors();
    Tensor &values = parameters_.values(), &direction = parameters_.gradients();
    const Tensor size = ops::segment_squares(tensors, values);
    ops::adam_direction(control, tensors, adam_, values, direction, exp_avg_, exp_avg_sq_);
    const Tensor ratio = ops::trust_ratio(tensors, trust_, size, ops::segment_squares(tensors, direction));
    ops::scaled_step(control, tensors, ratio, direction, values, parameters_.copies());
  }

  void visit(const StateVisitor& visitor) override {
    visitor("exp_avg", exp_avg_);
    visitor("exp_avg_sq", exp_avg_sq_);
  }

 private:
  Parameters& parameters_;
  ops::AdamArgs adam_;
  ops::TrustRatioArgs trust_;
  Tensor exp_avg_, exp_avg_sq_;
};

const bool registered = optimizers().add<Lamb>("lamb");

}  // namespace
}  // namespace trainer::optim
