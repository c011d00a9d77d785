// Softmax cross entropy with label smoothing (torch.nn.CrossEntropyLoss), for class indices i64 [N] and for
// probabilities f32 [N, K].
#include "lib/autograd/loss.h"
#include "lib/config/fields.h"
#include "lib/nn/loss.h"

namespace trainer::nn {
namespace {

class CrossEntropy final : public Loss {
 public:
  struct Config {
    double label_smoothing = 0.1;
    void fields(config::Fields& f) {
      f("LABEL_SMOOTHING", label_smoothing, "share of the target spread over all classes (training only)",
        {.min = 0, .max = 1});
    }
  };
  explicit CrossEntropy(const Config& c) : args_{.label_smoothing = c.label_smoothing} {}
  Var operator()(const Var& output, const Tensor& target) const override {
    return autograd::softmax_cross_entropy(output, target, args_);
  }
  double measure(const Tensor& output, const Tensor& target) const override {
    return ops::softmax_cross_entropy(output, target).loss.item();
  }

 private:
  ops::CrossEntropyArgs args_;
};

const bool registered = losses().add<CrossEntropy>("cross_entropy");

}  // namespace
}  // namespace trainer::nn
