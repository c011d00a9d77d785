// Multi-layer perceptron: linear layers with ReLU between them, over a flattened sample.
#include "lib/autograd/elementwise.h"
#include "lib/nn/layers.h"
#include "lib/nn/model.h"

namespace trainer::nn {
namespace {

struct MlpKeys {
  std::vector<int64_t> hidden = {256, 256};
  void fields(config::Fields& f) { f("HIDDEN", hidden, "widths of the hidden layers", {.min = 1}); }
};

class Mlp final : public Model {
 public:
  struct Config : ModelConfig {
    MlpKeys mlp;
    void fields(config::Fields& f) {
      ModelConfig::fields(f);
      f.group("MLP", mlp);
    }
  };

  Mlp(const Config& c, const Shape& sample) : drop_(c.drop_rate) {
    int64_t width = sample.numel();
    for (const int64_t next : c.mlp.hidden) {
      layers_.emplace_back(width, next);
      width = next;
    }
    head_.emplace(width, c.num_classes);
  }

  Var forward(const Var& x) override {
    Var h = autograd::flatten(x);
    for (Linear& layer : layers_) h = layer.relu(h);
    return (*head_)(drop_(h));
  }

  std::vector<Var> features(const Var& x) override {
    std::vector<Var> outputs;
    Var h = autograd::flatten(x);
    for (Linear& layer : layers_) outputs.push_back(h = layer.relu(h));
    return outputs;
  }

  std::string classifier() const override { return "head"; }

  void visit(Visitor& v) override { v("layers", layers_), v("drop", drop_), v("head", head_); }

 private:
  std::vector<Linear> layers_;
  Dropout drop_;
  std::optional<Linear> head_;
};

const bool registered = models().add<Mlp>("mlp");

}  // namespace
}  // namespace trainer::nn
