// What holds for every registered model. A new family is tested here by being registered.
#include <cmath>

#include "lib/autograd/loss.h"
#include "lib/config/config.h"
#include "lib/nn/model.h"
#include "lib/optim/parameters.h"
#include "tests/backend_cpu/with_threads.h"
#include "tests/catch.h"
#include "tests/support/weights.h"
#include "tests/temp_folder.h"

using namespace trainer;

namespace {

constexpr int64_t batch = 2, size = 64, classes = 10;

std::unique_ptr<nn::Model> make(const std::string& name, uint64_t seed) {
  config::Config c = config::Config::defaults();
  const std::vector<std::string> opts{"MODEL.NUM_CLASSES", std::to_string(classes), "MODEL.DROP_PATH_RATE",
                                      "0.0"};
  c.merge_opts(opts);
  auto model = nn::models().make(name, c.group("MODEL"), {size, size, 3});
  nn::initialize(*model, seed);
  return model;
}

Tensor images(int64_t samples = batch) {
  Tensor x = Tensor::empty({samples, size, size, 3});
  const Rng rng = Rng(0).fork("images");
  for (int64_t i = 0; i < x.numel(); ++i)
    x.data<float>()[i] = 2 * rng.uniform(0, static_cast<uint64_t>(i)) - 1;
  return x;
}

bool equal(const Tensor& a, const Tensor& b) {
  return a.shape() == b.shape() && std::equal(a.raw(), a.raw() + a.bytes(), b.raw());
}

/// Without those that differ from another one in depth or width only and take long; the names and shapes of
/// all are compared with timm's in golden_test.cpp.
std::vector<std::string> quick_models() {
  std::vector<std::string> names = nn::models().names();
  for (const char* deep : {"resnet34", "resnet101", "resnet152", "vit_small_patch16_224",
                           "vit_base_patch16_224", "vit_base_patch32_224"})
    std::erase(names, deep);
  std::erase_if(names, [](const std::string& name) {
    return name.starts_with("mobilenetv2") && name != "mobilenetv2_050" && name != "mobilenetv2_100";
  });
  return names;
}

}  // namespace

TEST_CASE("every model: output shape, features, a gradient for every parameter") {
  for (const std::string& name : quick_models()) {
    INFO(name);
    const auto model = make(name, 1);
    nn::Context context{.training = true};
    nn::attach(*model, context);
    optim::Parameters parameters(*model, {});
    parameters.zero_grad();
    const Var logits = (*model)(Var(images()));
    REQUIRE(logits.shape() == Shape{batch, classes});
    const std::vector<int64_t> labels{1, 2};
    autograd::softmax_cross_entropy(logits, Tensor::of<int64_t>(std::span(labels), {batch})).backward();
    CHECK(parameters.without_gradient().empty());
    for (const optim::Span& span : parameters.trainable()) {
      const Tensor& gradient = span.parameter->var.grad();
      CHECK(std::ranges::all_of(gradient.span<float>(), [](float v) { return std::isfinite(v); }));
    }

    const NoGrad no_grad;
    context.training = false;
    const auto features = model->features(Var(images()));
    CHECK_FALSE(features.empty());
    for (const Var& f : features) CHECK(f.shape()[0] == batch);
    bool found = false;
    for (const auto& [path, p] : nn::parameters(*model)) {
      found = found || (path == model->classifier() + ".weight" && p->var.shape()[0] == classes);
    }
    CHECK(found);
  }
}

TEST_CASE("every model: in deterministic mode the same bits on any number of threads") {
  static constexpr int64_t samples = 7;
  const cpu::WithDeterministic deterministic;
  const Tensor x = images(samples);
  const std::vector<int64_t> labels{1, 2, 3, 4, 5, 6, 7};
  for (const std::string& name : quick_models()) {
    for (const DType type : {DType::f32, DType::bf16}) {
      INFO(name << ", " << name_of(type));
      const auto model = make(name, 1);
      nn::Context context{.training = true};
      nn::attach(*model, context);
      optim::Parameters parameters(*model, {}, {}, {.compute = type});
      Tensor first_logits, first_gradients;
      for (const int n : {1, 2, 3, 5}) {
        INFO(n << " threads");
        const cpu::WithThreads threads(n);
        parameters.zero_grad();
        const Var logits = (*model)(Var(x));
        autograd::softmax_cross_entropy(logits, Tensor::of<int64_t>(std::span(labels), {samples})).backward();
        if (n == 1) {
          first_logits = logits.value().clone();
          first_gradients = parameters.gradients().clone();
        }
        CHECK(equal(logits.value(), first_logits));
        CHECK(equal(parameters.gradients(), first_gradients));
      }
    }
  }
}

TEST_CASE("every model: weights saved and loaded give the same logits") {
  const TempFolder folder;
  for (const std::string& name : quick_models()) {
    INFO(name);
    const NoGrad no_grad;
    const auto a = make(name, 1), b = make(name, 2);
    const Tensor expected = (*a)(Var(images())).value();
    CHECK_FALSE(equal((*b)(Var(images())).value(), expected));
    checkpoint::save_weights(*a, folder / "weights");
    checkpoint::load_weights(*b, folder / "weights");
    CHECK(equal((*b)(Var(images())).value(), expected));
  }
}

TEST_CASE("every model: training differs from evaluation exactly where there are running statistics") {
  for (const std::string& name : quick_models()) {
    INFO(name);
    const NoGrad no_grad;
    const auto model = make(name, 1);
    nn::Context context;
    nn::attach(*model, context);
    const Tensor before = (*model)(Var(images())).value();
    context.training = true;
    const Tensor during = (*model)(Var(images())).value();
    context.training = false;
    const Tensor after = (*model)(Var(images())).value();
    const bool has_statistics = !nn::buffers(*model).empty();
    CHECK(equal(before, during) != has_statistics);
    CHECK(equal(before, after) != has_statistics);  // the statistics have moved
  }
}
