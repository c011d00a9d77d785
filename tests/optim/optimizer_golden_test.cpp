// Twenty updates by other programs' optimizers, with and without clipping (tests/golden/README.md). A file
// tests/golden/optimizers*.safetensors is all that a further optimizer needs here.
#include <cctype>
#include <filesystem>

#include "lib/autograd/elementwise.h"
#include "lib/config/config.h"
#include "lib/optim/clip.h"
#include "lib/optim/optimizer.h"
#include "tests/catch.h"
#include "tests/support/fixture.h"
#include "tests/support/golden.h"

using namespace trainer;

namespace {

/// Named parameters and nothing else.
class Bag final : public nn::Module {
 public:
  Bag(const std::map<std::string, std::vector<float>>& values, const std::map<std::string, Shape>& shapes) {
    for (const auto& [name, shape] : shapes) {
      nn::Parameter& p = members_[name] = nn::Parameter(shape, nn::Init::zeros());
      Tensor memory = p.var.value();
      memory.copy_from(Tensor::of<float>(std::span(values.at(name)), shape));
    }
  }
  Var forward(const Var& x) override { return x; }
  void visit(nn::Visitor& v) override {
    for (auto& [name, p] : members_) v(name, p);
  }

 private:
  std::map<std::string, nn::Parameter> members_;
};

/// A scalar whose gradient with respect to p is g.
Var with_gradient(const Var& p, const Tensor& g) {
  return record(Tensor::zeros({}), {&p}, [g](Grads& grads) { grads.pass(0, g); });
}

/// What a case says beside these is a key of TRAIN.OPTIMIZER.
std::vector<std::string> keys(const nlohmann::json& c) {
  std::vector<std::string> words;
  for (const auto& [name, value] : c.items()) {
    if (name == "optimizer" || name == "lr" || name == "weight_decay" || name == "clip") continue;
    std::string key = "TRAIN.OPTIMIZER.";
    for (const char letter : name) key += static_cast<char>(std::toupper(static_cast<unsigned char>(letter)));
    words.push_back(key);
    words.push_back(value.is_boolean() ? (value.get<bool>() ? "True" : "False") : value.dump());
  }
  return words;
}

void compare(const Tensor& ours, const Tensor& theirs) {
  REQUIRE(ours.shape() == theirs.shape());
  double largest = 0, worst = 0;
  for (int64_t i = 0; i < theirs.numel(); ++i) {
    largest = std::max(largest, std::abs(double{theirs.data<float>()[i]}));
    worst = std::max(worst, std::abs(double{theirs.data<float>()[i]} - ours.data<float>()[i]));
  }
  CHECK(worst <= 2e-6 * largest);  // twenty roundings of f32
}

void follow(const io::SafetensorsFile& file) {
  const golden::Formula formula(golden::made(file, "seed").get<uint64_t>());
  const nlohmann::json all_shapes = golden::made(file, "shapes"), cases = golden::made(file, "cases");
  std::map<std::string, Shape> shapes;
  for (const auto& [name, dims] : all_shapes.items()) {
    shapes[name] = Shape(std::span<const int64_t>(dims.get<std::vector<int64_t>>()));
  }
  for (const auto& [name, c] : cases.items()) {
    INFO(name);
    Bag bag(formula.weights(shapes), shapes);
    optim::Parameters parameters(bag, {.weight_decay = c.at("weight_decay")}, Device{});
    config::Config config = config::Config::defaults();
    config.merge_opts(keys(c));
    const auto optimizer = optim::optimizers().make(c.at("optimizer").get<std::string>(),
                                                    config.group("TRAIN.OPTIMIZER"), parameters);

    const Tensor norms = file.tensor(name + "/grad_norm");
    for (int64_t step = 0; step < norms.numel(); ++step) {
      parameters.zero_grad();
      Var sum(Tensor::zeros({}));
      for (const auto& p : nn::parameters(bag)) {
        const Shape& shape = shapes.at(p.name);
        const auto g =
            formula.gradient(p.name, static_cast<uint64_t>(step), static_cast<size_t>(shape.numel()));
        sum = autograd::add(sum, with_gradient(p.value->var, Tensor::of<float>(std::span(g), shape)));
      }
      sum.backward();
      const std::array<double, 3> values{c.at("lr").get<double>() * (1 - static_cast<double>(step) / 40), 1.0,
                                         static_cast<double>(step + 1)};
      Tensor control = Tensor::of<double>(std::span(values), {3});
      const double norm = std::sqrt(optim::clip_by_norm(parameters, control, c.value("clip", 0.0)).item());
      CHECK(norm == Approx(norms.data<double>()[step]).epsilon(1e-6));
      optimizer->step(control);
    }

    std::map<std::string, optim::Span> spans;
    for (const auto& span : parameters.trainable()) spans[span.name] = span;
    for (const auto& [key, span] : spans) compare(span.parameter->var.value(), file.tensor(name + "/" + key));
    optimizer->visit([&, case_name = name](std::string_view slot, Tensor& arena) {
      for (const auto& [key, span] : spans) {
        const std::string full = case_name + "/" + key + "." + std::string(slot);
        if (file.has(full)) compare(optim::Parameters::part(arena, span), file.tensor(full));
      }
    });
  }
}

}  // namespace

TEST_CASE("twenty updates of every optimizer are the others': values, state and gradient norms") {
  int files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(TESTS_DIR "/golden")) {
    const std::string name = entry.path().stem().string();
    if (!name.starts_with("optimizers")) continue;
    INFO(name);
    ++files;
    follow(golden::tensors(name));
  }
  CHECK(files >= 1);
}
