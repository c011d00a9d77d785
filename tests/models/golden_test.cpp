// Our models against timm's, trained and evaluated by PyTorch (tests/golden/README.md). A new family is a row
// in scripts/goldens/models.py.
#include <nlohmann/json.hpp>

#include "lib/base/file.h"
#include "lib/io/safetensors.h"
#include "lib/nn/loss.h"
#include "lib/nn/model.h"
#include "lib/ops/layout.h"
#include "lib/optim/optimizer.h"
#include "lib/optim/parameters.h"
#include "tests/catch.h"
#include "tests/support/golden.h"
#include "tests/support/weights.h"

using namespace trainer;
using nlohmann::json;

namespace {

const std::string folder = std::string(TESTS_DIR) + "/golden/";

config::Config settings(std::initializer_list<std::string> opts) {
  config::Config c = config::Config::defaults();
  c.merge_opts(std::vector<std::string>(opts));
  return c;
}

std::unique_ptr<nn::Model> make(const std::string& name, int64_t size, const std::string& stem = "default") {
  const config::Config c =
      settings({"MODEL.NUM_CLASSES", "10", "MODEL.DROP_PATH_RATE", "0.0", "MODEL.STEM", stem});
  return nn::models().make(name, c.group("MODEL"), {size, size, 3});
}

std::map<std::string, Shape> file_shapes(nn::Module& model) {
  std::map<std::string, Shape> shapes;
  for (const auto& [name, t] : checkpoint::state_dict(model)) {
    if (is_floating(t.dtype())) shapes[name] = t.shape();
  }
  return shapes;
}

/// Writes the formula's weights as a file of the ecosystem would hold them, and loads that file.
void fill(nn::Model& model, const golden::Formula& formula) {
  checkpoint::StateDict dict;
  const auto shapes = file_shapes(model);
  for (const auto& [name, v] : formula.weights(shapes))
    dict.emplace_back(name, Tensor::of<float>(std::span(v), shapes.at(name)));
  const fs::path file = fs::temp_directory_path() / fmt::format("trainer-golden-{}.safetensors", ::getpid());
  io::write_safetensors(file, dict, {}, Exit::weights);
  checkpoint::load_weights(model, file);
  fs::remove(file);
}

Tensor images(const golden::Formula& formula, uint64_t step, int64_t batch, int64_t size) {
  const auto v = formula.images(step, static_cast<size_t>(batch * 3 * size * size));
  return ops::to_channels_last(Tensor::of<float>(std::span(v), {batch, 3, size, size}));
}

/// A tensor of ours in the layout of files.
Tensor in_file_layout(const Tensor& t, nn::Layout layout) {
  return layout == nn::Layout::filter ? ops::to_channels_first(t) : t;
}

double norm(std::span<const float> v) {
  double sum = 0;
  for (const float x : v) sum += double{x} * x;
  return std::sqrt(sum);
}

void compare_training(const std::string& fixture, std::initializer_list<std::string> opts) {
  const io::SafetensorsFile golden_file(folder + fixture + ".safetensors", Exit::data);
  const auto& about = golden_file.metadata();
  const auto run = json::parse(about.at("settings"));
  const golden::Formula formula(std::stoull(about.at("seed")));
  const int64_t size = run.at("size"), batch = std::stoll(about.at("batch"));
  const auto model = make(about.at("model"), size);
  fill(*model, formula);
  nn::Context context{.training = true};
  nn::attach(*model, context);
  optim::Parameters parameters(*model, {.weight_decay = run.at("weight_decay")}, Device{});
  const config::Config c = settings(opts);
  const auto optimizer =
      optim::optimizers().make(about.at("optimizer"), c.group("TRAIN.OPTIMIZER"), parameters);
  const auto loss_function =
      nn::losses().make("cross_entropy", settings({"MODEL.LABEL_SMOOTHING", "0.0"}).group("MODEL"));

  const Tensor expected = golden_file.tensor("losses");
  const std::vector<std::string> names = json::parse(about.at("parameters"));
  for (int64_t step = 0; step < expected.numel(); ++step) {
    parameters.zero_grad();
    const auto labels = formula.labels(static_cast<uint64_t>(step), static_cast<size_t>(batch), 10);
    const Var loss =
        (*loss_function)((*model)(Var(images(formula, static_cast<uint64_t>(step), batch, size))),
                         Tensor::of<int64_t>(std::span(labels), {batch}));
    loss.backward();
    INFO("step " << step << " of " << fixture);
    CHECK(loss.value().item() == Approx(expected.data<double>()[step]).epsilon(1e-4));

    if (step == 0) {
      const auto norms = golden_file.tensor("gradient.norm").clone();
      const auto sketches = golden_file.tensor("gradient.sketch").clone();
      std::map<std::string, nn::Parameter*> by_name;
      for (const auto& p : nn::parameters(*model)) by_name[p.name] = p.value;
      REQUIRE(by_name.size() == names.size());
      for (size_t i = 0; i < names.size(); ++i) {
        INFO(names[i]);
        const nn::Parameter& p = *by_name.at(names[i]);
        const Tensor gradient = in_file_layout(p.var.grad(), p.layout);
        const double whole = norms.data<double>()[i];
        const auto sketch = formula.sketch(names[i], gradient.span<float>());
        const std::span<const double> theirs(sketches.data<double>() + 32 * i, 32);
        CHECK(golden::distance(sketch, theirs) <= 1e-3 * whole);
        if (!golden_file.has("gradient/" + names[i])) continue;
        const Tensor full = golden_file.tensor("gradient/" + names[i]);
        std::vector<float> difference(static_cast<size_t>(full.numel()));
        for (size_t e = 0; e < difference.size(); ++e)
          difference[e] = gradient.data<float>()[e] - full.data<float>()[e];
        CHECK(norm(difference) <= 1e-3 * whole);
      }
    }
    const std::array<double, 3> control{run.at("lr"), 1.0, static_cast<double>(step + 1)};
    parameters.segments();
    optimizer->step(Tensor::of<double>(std::span(control), {3}));
  }
}

}  // namespace

TEST_CASE("ten steps of resnet18 with SGD are PyTorch's: losses and every gradient") {
  compare_training("resnet18_sgd", {"TRAIN.OPTIMIZER.NESTEROV", "False"});
}
TEST_CASE("ten steps of resnet18 with AdamW are PyTorch's: losses and every gradient") {
  compare_training("resnet18_adamw", {});
}
TEST_CASE("ten steps of vit_tiny with SGD are PyTorch's: losses and every gradient") {
  compare_training("vit_tiny_sgd", {"TRAIN.OPTIMIZER.NESTEROV", "False"});
}
TEST_CASE("ten steps of vit_tiny with AdamW are PyTorch's: losses and every gradient") {
  compare_training("vit_tiny_adamw", {});
}

TEST_CASE("logits are timm's") {
  const io::SafetensorsFile golden_file(folder + "model_logits.safetensors", Exit::data);
  const golden::Formula formula(std::stoull(golden_file.metadata().at("seed")));
  for (const auto& info : golden_file.tensors()) {
    INFO(info.name);
    const json about = json::parse(golden_file.metadata().at("cases")).at(info.name);
    const int64_t size = about.at("size");
    const auto model = make(about.at("model"), size, about.at("stem"));
    fill(*model, formula);
    const NoGrad no_grad;
    const Tensor expected = golden_file.tensor(info.name);
    const Tensor logits = (*model)(Var(images(formula, 0, expected.size(0), size))).value();
    double largest = 0, worst = 0;
    for (int64_t i = 0; i < expected.numel(); ++i) {
      largest = std::max(largest, std::abs(double{expected.data<float>()[i]}));
      worst = std::max(worst, std::abs(double{expected.data<float>()[i]} - logits.data<float>()[i]));
    }
  }
}

TEST_CASE("names, shapes and parameter counts are timm's") {
  const json all = json::parse(read_file(folder + "timm_models.json", Exit::data));
  for (const std::string& name : nn::models().names()) {
    INFO(name);
    if (name == "cnn" || name == "mlp") continue;  // our own
    REQUIRE(all.contains(name));
    const json& expected = all.at(name);
    const config::Config c = config::Config::defaults();
    const auto model = nn::models().make(name, c.group("MODEL"), {224, 224, 3});
    std::map<std::string, std::vector<int64_t>> ours, theirs;
    for (const auto& [key, t] : checkpoint::state_dict(*model))
      ours[key] = {t.shape().begin(), t.shape().end()};
    for (const auto& [key, shape] : expected.at("state").items())
      theirs[key] = shape.get<std::vector<int64_t>>();
    CHECK(ours == theirs);
    CHECK(nn::count_parameters(*model) == expected.at("parameters").get<int64_t>());
  }
}
