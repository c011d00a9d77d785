// LoRA (Hu et al., 2021): y = W x + b + alpha / r B A dropout(x) with A [r, in], B [out, r]; W and b are
// frozen. Names, initialisation and defaults are those of Hugging Face PEFT: B begins as zero, so that
// training begins at the model that was given.
#include "lib/autograd/elementwise.h"
#include "lib/config/fields.h"
#include "lib/nn/adapter.h"
#include "lib/nn/layers.h"
#include "lib/ops/matmul.h"

namespace trainer::nn {
namespace {

struct LoraKeys {
  int64_t rank = 0;
  double alpha = 8, dropout = 0;
  std::vector<std::string> targets = {};
  void fields(config::Fields& f) {
    f("RANK", rank, "LoRA: rank r of the update B A beside each frozen linear layer; 0: off", {.min = 0});
    f("ALPHA", alpha, "LoRA: the update is scaled by ALPHA / RANK", {.min = 0, .min_open = true});
    f("DROPOUT", dropout, "LoRA: dropout on the input of the update", {.min = 0, .max = 0.999});
    f("TARGETS", targets,
      "LoRA: the linear layers, by components of their path, as qkv or layers.0; []: all but the "
      "classifier, which is trained whole");
  }
};

class Lora final : public Adapter {
 public:
  Lora(int64_t in, int64_t out, const LoraKeys& keys)
      : scale_(keys.alpha / static_cast<double>(keys.rank)),
        drop_(keys.dropout),
        a_(in, keys.rank, {.bias = false}),
        b_(keys.rank, out, {.bias = false, .init = Init::zeros()}) {}

  Var forward(const Var& x, const Var& y) override {
    return autograd::add(y, b_(autograd::scale(a_(drop_(x)), scale_)));  // scaled where it is r wide
  }

  Tensor merged(const Tensor& weight) const override {
    Tensor product = Tensor::empty(weight.shape(), weight.dtype(), weight.device());
    ops::linear_backward_data(b_.weight(), a_.weight(), product);  // B A
    return ops::add(weight, ops::scale(product, scale_));
  }

  void visit(Visitor& v) override { v("lora_dropout", drop_), v("lora_A", a_), v("lora_B", b_); }

 private:
  double scale_;
  Dropout drop_;
  Linear a_, b_;
};

class LoraMethod final : public AdapterMethod {
 public:
  struct Config {
    LoraKeys lora;
    void fields(config::Fields& f) { f.group("LORA", lora); }
  };
  explicit LoraMethod(const Config& c) : keys_(c.lora) {}

  void apply(Model& model) const override {
    if (keys_.rank == 0) return;
    add_adapters(model, "MODEL.LORA.TARGETS", keys_.targets, [&](const Linear& layer) {
      return std::make_unique<Lora>(layer.in_features(), layer.out_features(), keys_);
    });
  }

 private:
  LoraKeys keys_;
};

const bool registered = adapters().add<LoraMethod>("lora");

}  // namespace
}  // namespace trainer::nn
