// Stochastic gradient descent with momentum (torch.optim.SGD, dampening 0; Sutskever et al., 2013 for
// Nesterov's form).
#include "lib/config/fields.h"
#include "lib/optim/optimizer.h"

namespace trainer::optim {
namespace {

class Sgd final : public Optimizer {
 public:
  struct Config {
    double momentum = 0.9;
    bool nesterov = true;
    void fields(config::Fields& f) {
      f("MOMENTUM", momentum, "sgd: momentum factor; 0 keeps no state", {.min = 0, .max = 1});
      f("NESTEROV", nesterov, "sgd: Nesterov's form of momentum, as in Swin and timm");
    }
  };

  Sgd(const Config& config, Parameters& parameters)
      : parameters_(parameters), args_{config.momentum, config.nesterov && config.momentum != 0} {
    if (args_.momentum != 0) momentum_ = parameters.zeros();
  }

  void step(const Tensor& control) override {
    ops::sgd_step(control, parameters_.segments(), args_, parameters_.gradients(), parameters_.values(),
                  momentum_, parameters_.copies());
  }

  void visit(const StateVisitor& visitor) override {
    if (momentum_.defined()) visitor("momentum_buffer", momentum_);
  }

 private:
  Parameters& parameters_;
  ops::SgdArgs args_;
  Tensor momentum_;
};

const bool registered = optimizers().add<Sgd>("sgd");

}  // namespace
}  // namespace trainer::optim
