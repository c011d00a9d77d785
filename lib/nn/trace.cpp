#include "lib/nn/trace.h"

#include <map>

namespace trainer::nn {
namespace {

/// Parameters that a module holds itself, not in a child.
std::map<std::string, int64_t> own_parameters(Module& root) {
  std::map<std::string, int64_t> counts;
  for (const auto& [name, p] : parameters(root)) {
    const auto dot = name.rfind('.');
    counts[dot == name.npos ? "" : name.substr(0, dot)] += p->value().numel();
  }
  return counts;
}

class Recorder final : public Observer {
 public:
  explicit Recorder(std::map<std::string, int64_t> own) : own_(std::move(own)) {}
  void on_forward(Module& m, const Var& x, const Var& y) override {
    const auto own = own_.find(m.path());
    if (own == own_.end()) return;
    calls.push_back({m.path(), m.description(), y.shape(), own->second, m.macs(x.shape(), y.shape())});
  }
  std::vector<LayerCall> calls;

 private:
  std::map<std::string, int64_t> own_;
};

}  // namespace

std::vector<LayerCall> trace(Model& model, const Shape& sample, int64_t batch, Device device) {
  const NoGrad no_grad;
  Recorder recorder(own_parameters(model));
  Context context{.observer = &recorder};
  attach(model, context);
  std::vector<int64_t> dims{batch};
  dims.insert(dims.end(), sample.begin(), sample.end());
  model(Var(Tensor::zeros(Shape(std::span<const int64_t>(dims)), DType::f32, device)));
  detach(model);
  return std::move(recorder.calls);
}

}  // namespace trainer::nn
