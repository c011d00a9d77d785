#include "lib/optim/optimizer.h"
#include "lib/ops/adam.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "lib/config/config.h"
#include "lib/optim/clip.h"
#include "tests/catch.h"
#include "tests/optim/toy.h"

namespace trainer::optim {
namespace {

using test::numbers;
using test::ramp;
using test::send;
using test::Toy;
using Floats = std::vector<float>;

constexpr Device ref{Device::Kind::ref}, cpu{Device::Kind::cpu};

std::unique_ptr<Optimizer> make(const std::string& name, Parameters& parameters,
                                std::vector<std::string> keys = {}) {
  config::Config config = config::Config::defaults();
  for (size_t i = 0; i < keys.size(); i += 2) keys[i] = "TRAIN.OPTIMIZER." + keys[i];
  config.merge_opts(keys);
  return optimizers().make(name, config.group("TRAIN.OPTIMIZER"), parameters);
}

Tensor control(double lr, int64_t step, Device device, double multiplier = 1) {
  Tensor c = Tensor::empty({ops::Control::size}, DType::f64);
  c.data<double>()[ops::Control::lr] = lr;
  c.data<double>()[ops::Control::multiplier] = multiplier;
  c.data<double>()[ops::Control::step] = static_cast<double>(step);
  return c.to(device);
}

/// Multiples of 1/8 that change with element and step, exact in f32.
Tensor gradient(const Shape& shape, int64_t step) {
  Tensor g = Tensor::empty(shape);
  for (int64_t i = 0; i < g.numel(); ++i)
    g.data<float>()[i] = static_cast<float>((i * 7 + step * 5) % 11 - 5) / 8;
  return g;
}

nn::Parameter& add_weights(Toy& model, const std::string& name, const Shape& shape) {
  nn::Parameter& p = model.add(name, shape);
  Tensor value = p.var.value();
  for (int64_t i = 0; i < value.numel(); ++i)
    value.data<float>()[i] = static_cast<float>((i * 3) % 7 - 3) / 4;
  return p;
}

/// What torch 2.15 computes in five updates of weight [2, 3] (decay 0.05) and bias [3] with gradient(), at
/// 0.1 (1 - step / 10).
struct Trajectory {
  std::string optimizer;
  std::vector<std::string> keys;
  double max_norm;
  Floats weight, bias;
  std::map<std::string, Floats> state;  // of the weight
};

const Trajectory trajectories[] = {
    {"sgd",
     {"MOMENTUM", "0.", "NESTEROV", "False"},
     0,
     {-0.74450266f, 0.053585701f, 0.76870668f, -0.34026787f, 0.49730819f, -0.40688637f},
     {-0.81625003f, 0.05125f, 0.75375003f},
     {}},
    {"sgd",
     {"NESTEROV", "False"},
     0,
     {-0.64078122f, 0.10080613f, 0.76958138f, -0.49906f, 0.52710968f, -0.29945335f},
     {-0.93707502f, 0.21754299f, 0.72894144f},
     {{"momentum_buffer", {0.3494665f, -0.65914005f, -0.31442273f, 0.79899508f, 0.17130324f, -1.0686306f}}}},
    {"sgd",
     {},
     0,
     {-0.64892513f, 0.144125f, 0.78608644f, -0.56127006f, 0.52109361f, -0.22836441f},
     {-0.98461753f, 0.24703868f, 0.7347973f},
     {{"momentum_buffer", {0.35522968f, -0.65633345f, -0.31441683f, 0.78997695f, 0.17304063f, -1.0625083f}}}},
    {"sgd",
     {},
     1,
     {-0.65433663f, 0.12280453f, 0.76745141f, -0.50189024f, 0.51413608f, -0.2738995f},
     {-0.94887137f, 0.20287892f, 0.74081129f},
     {{"momentum_buffer", {0.25147533f, -0.553473f, -0.21695615f, 0.63130105f, 0.15924272f, -0.87786901f}}}},
    {"adamw",
     {},
     0,
     {-0.59842634f, 0.0057223216f, 0.84917337f, -0.50255108f, 0.46975911f, -0.27688885f},
     {-0.91839868f, 0.24544157f, 0.65829676f},
     {{"exp_avg", {0.048368752f, -0.066172495f, -0.046940003f, 0.087393753f, 0.0063887518f, -0.098128751f}},
      {"exp_avg_sq",
       {0.0010445184f, 0.00071732933f, 0.00065523537f, 0.00085720583f, 0.00081087631f, 0.00085811067f}}}},
    {"adamw",
     {"BETAS", "(0.8, 0.95)", "EPS", "1e-3"},
     0,
     {-0.6187672f, 0.01668952f, 0.84598953f, -0.49274665f, 0.46653119f, -0.28105584f},
     {-0.91768664f, 0.23315544f, 0.67089534f},
     {{"exp_avg", {0.1088f, -0.11472f, -0.090079993f, 0.1374f, 0.021240003f, -0.17412001f}},
      {"exp_avg_sq", {0.046777464f, 0.032522283f, 0.030388203f, 0.037859399f, 0.036717877f, 0.03996098f}}}},
    {"adamw",
     {},
     1,
     {-0.59666198f, 0.0075388663f, 0.84577948f, -0.50112188f, 0.47055319f, -0.27923089f},
     {-0.91945451f, 0.24479307f, 0.66117322f},
     {{"exp_avg", {0.038334992f, -0.055821851f, -0.037074305f, 0.070924118f, 0.0051440471f, -0.079322964f}},
      {"exp_avg_sq",
       {0.0007007664f, 0.00050183921f, 0.00044351985f, 0.0005796575f, 0.00056943082f, 0.00057390745f}}}},
};

void check_near(const Floats& actual, const Floats& expected) {
  REQUIRE(actual.size() == expected.size());
  for (size_t i = 0; i < actual.size(); ++i)
    CHECK(actual[i] == Approx(expected[i]).epsilon(2e-5).margin(1e-7));
}

TEST_CASE("five updates follow PyTorch's") {
  const Device device = GENERATE(ref, cpu);
  if (!Kernels<ops::AdamWStep>::has(device.kind)) {
    WARN("no optimizer kernels for " << device.str() << " in this build");
    return;
  }
  for (const Trajectory& t : trajectories) {
    INFO(t.optimizer << " " << fmt::format("{}", t.keys) << ", norm " << t.max_norm << " on "
                     << device.str());
    Toy model;
    auto& weight = add_weights(model, "weight", {2, 3});
    auto& bias = add_weights(model, "bias", {3});
    Parameters parameters(model, {.weight_decay = 0.05}, device);
    const auto optimizer = make(t.optimizer, parameters, t.keys);
    for (int64_t step = 0; step < 5; ++step) {
      parameters.zero_grad();
      send(weight, gradient({2, 3}, step));
      send(bias, gradient({3}, step + 1));
      Tensor c = control(0.1 * (1 - static_cast<double>(step) / 10), step + 1, device);
      const Tensor squares = clip_by_norm(parameters, c, t.max_norm);
      if (step == 0) CHECK(std::sqrt(squares.item()) == Approx(1.2054563760757446));
      optimizer->step(c);
    }
    check_near(numbers(weight.var.value()), t.weight);
    check_near(numbers(bias.var.value()), t.bias);
    size_t states = 0;
    optimizer->visit([&](std::string_view name, Tensor& arena) {
      ++states;
      REQUIRE(t.state.contains(std::string(name)));
      check_near(numbers(Parameters::part(arena, parameters.trainable()[1])), t.state.at(std::string(name)));
      CHECK(numbers(arena)[15] == 0);  // the gap behind the bias
    });
    CHECK(states == t.state.size());
    CHECK(numbers(parameters.values())[15] == 0);
  }
}

TEST_CASE("a parameter without a gradient is moved neither by decay nor by momentum") {
  const std::string name = GENERATE(from_range(optimizers().names()));
  INFO(name);
  Toy model;
  auto& used = add_weights(model, "used", {2, 2});
  auto& other = add_weights(model, "other", {2, 2});
  Parameters parameters(model, {.weight_decay = 0.5}, ref);
  const auto optimizer = make(name, parameters);
  for (const auto* p : {&used, &other}) send(*p, gradient({2, 2}, 0));
  optimizer->step(control(0.1, 1, ref));

  const Floats before = numbers(other.var.value()), used_before = numbers(used.var.value());
  parameters.zero_grad();
  send(used, gradient({2, 2}, 1));
  Tensor c = control(0.1, 2, ref);
  double expected = 0;
  for (const float g : numbers(used.var.grad())) expected += double{g} * g;
  CHECK(clip_by_norm(parameters, c, 0).item() ==
        Approx(expected));  // the old gradient of `other` does not count
  optimizer->step(c);
  CHECK(numbers(other.var.value()) == before);
  CHECK(numbers(used.var.value()) != used_before);
}

TEST_CASE("clipping scales the multiplier and knows of unscaling") {
  Toy model;
  auto& weight = model.add("weight", {2});
  Parameters parameters(model, {}, ref);
  Tensor g = Tensor::empty({2});
  g.data<float>()[0] = 30;
  g.data<float>()[1] = 40;
  send(weight, g);
  const auto multiplier = [](const Tensor& c) { return c.to(ref).data<double>()[ops::Control::multiplier]; };

  Tensor c = control(0.1, 1, ref, 0.1);  // a loss scale of 10: the norm is 5
  CHECK(clip_by_norm(parameters, c, 0).item() == Approx(2500));
  CHECK(multiplier(c) == 0.1);
  clip_by_norm(parameters, c, 6);
  CHECK(multiplier(c) == 0.1);
  clip_by_norm(parameters, c, 2.5);
  CHECK(multiplier(c) == Approx(0.05).epsilon(1e-6));
  CHECK_THROWS_WITH(clip_by_norm(parameters, c, -1), ContainsSubstring("negative"));

  g.data<float>()[1] = INFINITY;
  parameters.zero_grad();
  send(weight, g);
  CHECK_FALSE(std::isfinite(clip_by_norm(parameters, c, 1).item()));
}

TEST_CASE("learning rate factors scale each parameter's step") {
  Toy model;
  auto& slow = model.add("slow", {1}, 1);
  auto& fast = model.add("fast", {1}, 1);
  Parameters parameters(model,
                        {.lr_factor = [](std::string_view name) { return name == "slow" ? 0.5 : 1.0; }}, ref);
  const auto optimizer = make("sgd", parameters, {"MOMENTUM", "0."});
  for (const auto* p : {&slow, &fast}) send(*p, ramp({1}, 1));
  optimizer->step(control(0.25, 1, ref));
  CHECK(numbers(slow.var.value()) == Floats{0.875f});
  CHECK(numbers(fast.var.value()) == Floats{0.75f});
}

TEST_CASE("a repeated step allocates nothing") {
  const std::string name = GENERATE(from_range(optimizers().names()));
  INFO(name);
  Toy model;
  auto& weight = add_weights(model, "weight", {64, 3});
  auto& bias = add_weights(model, "bias", {3});
  Parameters parameters(model, {.weight_decay = 0.1}, ref);
  const auto optimizer = make(name, parameters);
  const Tensor gw = gradient({64, 3}, 1).to(ref), gb = gradient({3}, 1).to(ref);
  Tensor c = control(0.1, 1, ref);
  const auto step = [&] {
    parameters.zero_grad();
    send(weight, gw);
    send(weight, gw);  // the second one needs memory of its own before it is added
    send(bias, gb);
    clip_by_norm(parameters, c, 1);
    optimizer->step(c);
  };
  step();
  step();
  const auto before = pool_statistics(ref);
  const ops::Segment* segments = parameters.segments().data();
  for (int i = 0; i < 10; ++i) step();
  CHECK(pool_statistics(ref).growths == before.growths);
  CHECK(pool_statistics(ref).in_use == before.in_use);
  CHECK(parameters.segments().data() == segments);
}

TEST_CASE("optimizers are known by name and say what is wrong with their keys") {
  Toy model;
  model.add("weight", {2, 2});
  Parameters parameters(model, {}, ref);
  CHECK(optimizers().has("sgd"));
  CHECK_THROWS_WITH(make("adamv", parameters),
                    ContainsSubstring("unknown optimizer 'adamv' (did you mean adamw"));
  CHECK_THROWS_WITH(make("adamw", parameters, {"BETAS", "(0.9,)"}),
                    ContainsSubstring("TRAIN.OPTIMIZER.BETAS") && ContainsSubstring("2 elements"));
  CHECK_THROWS_WITH(make("adamw", parameters, {"BETAS", "(0.9, 1.0)"}),
                    ContainsSubstring("TRAIN.OPTIMIZER.BETAS"));
  CHECK_THROWS_WITH(make("adamw", parameters, {"EPS", "0."}), ContainsSubstring("TRAIN.OPTIMIZER.EPS"));
  CHECK_THROWS_WITH(make("sgd", parameters, {"MOMENTUM", "1.5"}),
                    ContainsSubstring("TRAIN.OPTIMIZER.MOMENTUM"));
}

}  // namespace
}  // namespace trainer::optim
