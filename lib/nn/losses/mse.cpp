// Mean squared error over all elements, for regression (torch.nn.MSELoss). Targets are f32 in the output's
// shape [N, K]; [N] stands for [N, 1].
#include "lib/autograd/elementwise.h"
#include "lib/autograd/loss.h"
#include "lib/config/fields.h"
#include "lib/nn/loss.h"

namespace trainer::nn {
namespace {

class Mse final : public Loss {
 public:
  struct Config {
    void fields(config::Fields&) {}
  };
  explicit Mse(const Config&) {}
  Var operator()(const Var& output, const Tensor& target) const override {
    const bool column = target.rank() + 1 == output.value().rank();
    return autograd::mse(autograd::cast(output, target.dtype()),
                         column ? target.view(output.shape()) : target);
  }
};

const bool registered = losses().add<Mse>("mse");

}  // namespace
}  // namespace trainer::nn
