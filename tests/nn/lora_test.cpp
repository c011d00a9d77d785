// LoRA against its formula, and what it leaves of a model for training and for files.
#include "lib/autograd/elementwise.h"
#include "lib/autograd/gelu.h"
#include "lib/checkpoint/items.h"
#include "lib/checkpoint/weights.h"
#include "lib/config/config.h"
#include "lib/nn/layers.h"
#include "lib/nn/model.h"
#include "lib/optim/parameters.h"
#include "tests/catch.h"

using namespace trainer;
using Names = std::vector<std::string>;

namespace {

class Small final : public nn::Model {
 public:
  Small() { layers_.emplace_back(6, 5), layers_.emplace_back(5, 4); }
  Var forward(const Var& x) override { return head_(features(x).back()); }
  std::vector<Var> features(const Var& x) override {
    const Var h = autograd::relu(layers_[0](x));
    return {h, autograd::relu(layers_[1](h))};
  }
  std::string classifier() const override { return "head"; }
  void visit(nn::Visitor& v) override { v("layers", layers_), v("head", head_); }
  nn::Linear& layer(size_t i) { return layers_[i]; }

 private:
  std::vector<nn::Linear> layers_;
  nn::Linear head_{4, 3};
};

config::Config settings(std::vector<std::string> opts) {
  config::Config c = config::Config::defaults();
  c.merge_opts(opts);
  return c;
}

void prepare(nn::Model& model, const std::vector<std::string>& opts) {
  nn::apply_adapters(model, settings(opts).group("MODEL"));
  nn::initialize(model, 1);
}

nn::Parameter& parameter(nn::Module& model, const std::string& name) {
  for (const auto& p : nn::parameters(model)) {
    if (p.name == name) return *p.value;
  }
  FAIL("no parameter " << name);
  throw;
}

/// As training would: B is no longer zero.
void train(nn::Module& model) {
  for (const auto& [name, p] : nn::parameters(model)) {
    if (name.ends_with("lora_B.weight")) {
      Tensor value = p->var.value();
      nn::fill(value, nn::Init::normal(0.5), Rng(9).fork(name));
    }
  }
}

Tensor input(int64_t rows) {
  Tensor x = Tensor::empty({rows, 6});
  nn::fill(x, nn::Init::normal(1), Rng(4));
  return x;
}

std::vector<float> list(const Tensor& t) { return {t.span<float>().begin(), t.span<float>().end()}; }

double largest_difference(const Tensor& a, const Tensor& b) {
  REQUIRE(a.shape() == b.shape());
  double most = 0;
  for (int64_t i = 0; i < a.numel(); ++i)
    most = std::max(most, std::abs(double{a.data<float>()[i]} - b.data<float>()[i]));
  return most;
}

}  // namespace

TEST_CASE("LoRA: names of PEFT, the base frozen, the classifier trained whole") {
  Small model;
  prepare(model, {"MODEL.LORA.RANK", "2"});
  Names trained, frozen;
  for (const auto& [name, p] : nn::parameters(model)) (p->frozen ? frozen : trained).push_back(name);
  CHECK(trained == Names{"layers.0.lora_A.weight", "layers.0.lora_B.weight", "layers.1.lora_A.weight",
                         "layers.1.lora_B.weight", "head.weight", "head.bias"});
  CHECK(frozen == Names{"layers.0.weight", "layers.0.bias", "layers.1.weight", "layers.1.bias"});
  CHECK(parameter(model, "layers.0.lora_A.weight").var.shape() == Shape{2, 6});
  CHECK(parameter(model, "layers.0.lora_B.weight").var.shape() == Shape{5, 2});
}

TEST_CASE("LoRA: rank 0 is off, and patterns choose layers by components of their path") {
  Small off, one;
  prepare(off, {});
  CHECK(nn::parameters(off).size() == 6);
  for (const auto& p : nn::parameters(off)) CHECK_FALSE(p.value->frozen);
  prepare(one, {"MODEL.LORA.RANK", "2", "MODEL.LORA.TARGETS", "['layers.1']"});
  CHECK(nn::parameters(one).size() == 8);
  CHECK(parameter(one, "layers.0.weight").frozen);
  parameter(one, "layers.1.lora_A.weight");
}

TEST_CASE("LoRA: it begins at the given model, and then adds alpha / r B A x") {
  Small plain, model;
  nn::initialize(plain, 1);
  prepare(model, {"MODEL.LORA.RANK", "2", "MODEL.LORA.ALPHA", "3.0"});
  const Var x(input(7));
  CHECK(list(model(x).value()) == list(plain(x).value()));

  train(model);
  const auto w = list(parameter(model, "layers.0.weight").var.value()),
             bias = list(parameter(model, "layers.0.bias").var.value()),
             a = list(parameter(model, "layers.0.lora_A.weight").var.value()),
             b = list(parameter(model, "layers.0.lora_B.weight").var.value()), in = list(x.value());
  const Tensor h = model.features(x)[0].value();
  for (size_t row = 0; row < 7; ++row) {
    for (size_t o = 0; o < 5; ++o) {
      double y = bias[o];
      for (size_t i = 0; i < 6; ++i) {
        const double update = double{b[o * 2]} * a[i] + double{b[o * 2 + 1]} * a[6 + i];
        y += (w[o * 6 + i] + 1.5 * update) * in[row * 6 + i];
      }
      CHECK(h.data<float>()[row * 5 + o] == Approx(std::max(y, 0.0)).margin(1e-5));
    }
  }
}

TEST_CASE("LoRA: an activation that a plain layer computes along follows the update") {
  Small model;
  prepare(model, {"MODEL.LORA.RANK", "2"});
  const Var x(input(3));
  nn::Linear& layer = model.layer(0);
  const auto before = list(layer.gelu(x).value());
  train(model);
  CHECK(list(layer.gelu(x).value()) != before);
  CHECK(list(layer.gelu(x).value()) == list(autograd::gelu(layer(x)).value()));
  CHECK(list(layer.relu(x).value()) == list(autograd::relu(layer(x)).value()));
}

TEST_CASE("LoRA: weights for files are merged and fit the plain model, those for going on are apart") {
  Small plain, model;
  prepare(model, {"MODEL.LORA.RANK", "2"});
  train(model);
  const auto exported = checkpoint::exported_items(model), into = checkpoint::plain_items(plain);
  REQUIRE(exported.size() == into.size());
  for (size_t i = 0; i < into.size(); ++i) {
    CHECK(exported[i].name == into[i].name);
    Tensor value = into[i].value;
    value.copy_from(exported[i].value);
  }
  const Var x(input(5));
  CHECK(largest_difference(plain(x).value(), model(x).value()) < 1e-5);
  CHECK(largest_difference(exported[0].value, parameter(model, "layers.0.weight").var.value()) > 0.01);

  Names apart;
  for (const auto& item : checkpoint::unmerged_items(model)) {
    apart.push_back(item.name);
    CHECK(item.value.raw() == parameter(model, item.name.substr(6)).var.value().raw());
  }
  CHECK(apart == Names{"model.layers.0.weight", "model.layers.0.lora_A.weight",
                       "model.layers.0.lora_B.weight", "model.layers.1.weight",
                       "model.layers.1.lora_A.weight", "model.layers.1.lora_B.weight"});
  CHECK(checkpoint::unmerged_items(plain).empty());
}

TEST_CASE("LoRA: nothing is differentiated below the first layer that is trained") {
  for (const bool first : {true, false}) {
    Small model;
    prepare(model, {"MODEL.LORA.RANK", "2", "MODEL.LORA.TARGETS", first ? "[layers]" : "['layers.1']"});
    const optim::Parameters parameters(model, {});
    const auto h = model.features(Var(input(3)));
    CHECK(h[0].requires_grad() == first);
    CHECK(h[1].requires_grad());
  }
}

TEST_CASE("LoRA: dropout is on the input of the update alone") {
  Small model;
  prepare(model, {"MODEL.LORA.RANK", "2", "MODEL.LORA.DROPOUT", "0.5"});
  nn::Context context{.training = true};
  nn::attach(model, context);
  const Var x(input(5));
  const auto before = list(model(x).value());
  context.step = 1;
  CHECK(list(model(x).value()) == before);  // B is zero: only W x, which is whole
  train(model);
  const auto first = list(model(x).value());
  context.step = 2;
  CHECK(list(model(x).value()) != first);
}

TEST_CASE("LoRA: what it cannot do is said in the name of its key") {
  Small model;
  CHECK_THROWS_WITH(prepare(model, {"MODEL.LORA.RANK", "2", "MODEL.LORA.TARGETS", "[layer]"}),
                    ContainsSubstring("MODEL.LORA.TARGETS: no linear layer beside the classifier is named "
                                      "'layer'; there are layers.0, layers.1"));
  CHECK_THROWS_WITH(prepare(model, {"MODEL.LORA.RANK", "-1"}), ContainsSubstring("MODEL.LORA.RANK"));
  const config::Config c = settings({"MODEL.LORA.RANK", "2"});
  const auto convolutions = nn::models().make("resnet18", c.group("MODEL"), {32, 32, 3});
  CHECK_THROWS_WITH(nn::apply_adapters(*convolutions, c.group("MODEL")),
                    ContainsSubstring("the model has no linear layer beside its classifier 'fc'"));
  prepare(model, {"MODEL.LORA.RANK", "2"});
  CHECK_THROWS_WITH(prepare(model, {"MODEL.LORA.RANK", "2"}), ContainsSubstring("has an adapter already"));
}
