#include "lib/optim/parameters.h"

#include "tests/catch.h"
#include "tests/optim/toy.h"

namespace trainer::optim {
namespace {

using test::numbers;
using test::ramp;
using test::send;
using test::Toy;
using Floats = std::vector<float>;

constexpr Device ref{Device::Kind::ref};

std::vector<std::string> names(const std::vector<Span>& spans) {
  std::vector<std::string> all;
  for (const Span& span : spans) all.push_back(span.name);
  return all;
}

bool equal(const ops::Segment& a, const ops::Segment& b) {
  return a.begin == b.begin && a.end == b.end && a.lr_factor == b.lr_factor &&
         a.weight_decay == b.weight_decay;
}

TEST_CASE("the arena holds the parameters in reverse order of use, aligned, with zeros between them") {
  Toy model;
  const auto& stem = model.add("stem.weight", {2, 3}, 1);
  const auto& head = model.add("head.weight", {17}, 100);
  model.add("head.bias", {1}, 50);
  Parameters parameters(model, {}, ref);

  CHECK(names(parameters.trainable()) == std::vector<std::string>{"head.bias", "head.weight", "stem.weight"});
  CHECK(parameters.count() == 24);
  CHECK(parameters.values().shape() == Shape{16 + 32 + 16});
  CHECK(parameters.values().device() == ref);
  CHECK(parameters.trainable()[1].begin == 16);
  CHECK(parameters.trainable()[2].begin == 48);
  for (const Span& span : parameters.trainable()) {
    CHECK(reinterpret_cast<uintptr_t>(span.parameter->var.value().raw()) % 64 == 0);
    CHECK(span.parameter->var.value().raw() == Parameters::part(parameters.values(), span).raw());
  }
  CHECK(stem.var.shape() == Shape{2, 3});
  CHECK(numbers(stem.var.value()) == Floats{1, 2, 3, 4, 5, 6});
  CHECK(numbers(head.var.value()) == numbers(ramp({17}, 100)));

  Floats expected(64);
  expected[0] = 50;
  for (size_t i = 0; i < 17; ++i) expected[16 + i] = 100 + static_cast<float>(i);
  for (size_t i = 0; i < 6; ++i) expected[48 + i] = 1 + static_cast<float>(i);
  CHECK(numbers(parameters.values()) == expected);
}

TEST_CASE("biases, vectors and the names that a model asks for are not decayed") {
  Toy model;
  for (const char* name : {"pos.absolute_pos_embed", "attn.cpb_mlp.0.weight", "attn.not_cpb_mlp.weight",
                           "fc.weight", "fc.bias"}) {
    model.add(name, {2, 2});
  }
  model.add("norm.weight", {2});
  model.add("scale", {});
  GroupRules rules{.weight_decay = 0.05, .no_decay = {"absolute_pos_embed", "cpb_mlp"}};
  rules.lr_factor = [](std::string_view name) { return name.starts_with("attn") ? 0.5 : 1.0; };
  const Parameters parameters(model, rules, ref);
  for (const Span& span : parameters.trainable()) {
    INFO(span.name);
    CHECK(span.weight_decay ==
          (span.name == "attn.not_cpb_mlp.weight" || span.name == "fc.weight" ? 0.05 : 0.0));
    CHECK(span.lr_factor == (span.name.starts_with("attn") ? 0.5 : 1.0));
  }
}

TEST_CASE("patterns match whole components of a name") {
  CHECK(has_components("a.b.c", "a"));
  CHECK(has_components("a.b.c", "b.c"));
  CHECK(has_components("a.b.c", "a.b.c"));
  CHECK(has_components("ab.b", "b"));
  CHECK_FALSE(has_components("a.bc", "b"));
  CHECK_FALSE(has_components("a.bc", "c"));
  CHECK_FALSE(has_components("a.b", "a.b.c"));
  CHECK_FALSE(has_components("a", ""));
}

TEST_CASE("backward writes into the gradient arena and adds up until zero_grad") {
  Toy model;
  auto& weight = model.add("weight", {2, 2});
  auto& bias = model.add("bias", {3});
  Parameters parameters(model, {}, ref);
  CHECK(parameters.without_gradient() == std::vector<std::string>{"bias", "weight"});

  send(weight, ramp({2, 2}, 1));
  CHECK(weight.var.grad().raw() == Parameters::part(parameters.gradients(), parameters.trainable()[1]).raw());
  CHECK(parameters.without_gradient() == std::vector<std::string>{"bias"});
  send(bias, ramp({3}, 10));
  send(weight, ramp({2, 2}, 5));
  CHECK(numbers(weight.var.grad()) == Floats{6, 8, 10, 12});

  Floats expected(32);
  std::copy_n(Floats{10, 11, 12}.begin(), 3, expected.begin());
  std::copy_n(Floats{6, 8, 10, 12}.begin(), 4, expected.begin() + 16);
  CHECK(numbers(parameters.gradients()) == expected);

  parameters.zero_grad();
  CHECK_FALSE(weight.var.grad().defined());
  send(weight, ramp({2, 2}, 1));
  CHECK(numbers(weight.var.grad()) == Floats{1, 2, 3, 4});
}

TEST_CASE("neighbours of the same factor and decay are one segment") {
  Toy model;
  std::vector<nn::Parameter*> all;
  all.push_back(&model.add("a.weight", {2, 2}));
  all.push_back(&model.add("b.weight", {2, 2}));
  all.push_back(&model.add("b.bias", {3}));
  all.push_back(&model.add("c.bias", {5}));
  Parameters parameters(model, {.weight_decay = 0.1}, ref);
  CHECK(parameters.segments().empty());
  for (const auto* p : all) send(*p, ramp(p->var.shape(), 1));

  const auto& segments = parameters.segments();
  REQUIRE(segments.size() == 2);
  CHECK(equal(segments[0], {0, 19, 1, 0}));
  CHECK(equal(segments[1], {32, 52, 1, 0.1}));

  const auto& tensors = parameters.tensors();
  REQUIRE(tensors.size() == 4);
  CHECK(equal(tensors[0], {0, 5, 1, 0}));
  CHECK(equal(tensors[1], {16, 19, 1, 0}));
  CHECK(equal(tensors[2], {32, 36, 1, 0.1}));
  CHECK(equal(tensors[3], {48, 52, 1, 0.1}));
}

TEST_CASE("a parameter without a gradient is in no segment and its old gradient is gone") {
  Toy model;
  auto& first = model.add("first.weight", {2, 2});
  auto& middle = model.add("middle.weight", {2, 2});
  auto& last = model.add("last.weight", {2, 2});
  Parameters parameters(model, {}, ref);
  for (const auto* p : {&first, &middle, &last}) send(*p, ramp({2, 2}, 1));
  REQUIRE(parameters.segments().size() == 1);
  CHECK(equal(parameters.segments()[0], {0, 36, 1, 0}));

  parameters.zero_grad();
  send(first, ramp({2, 2}, 3));
  send(last, ramp({2, 2}, 3));
  REQUIRE(parameters.segments().size() == 2);
  CHECK(equal(parameters.segments()[0], {0, 4, 1, 0}));
  CHECK(equal(parameters.segments()[1], {32, 36, 1, 0}));
  CHECK(parameters.tensors().size() == 2);
  CHECK(numbers(Parameters::part(parameters.gradients(), parameters.trainable()[1])) == Floats(4));
  CHECK(numbers(first.var.grad()) == Floats{3, 4, 5, 6});

  parameters.zero_grad();
  for (const auto* p : {&first, &middle, &last}) send(*p, ramp({2, 2}, 7));
  CHECK(parameters.segments().size() == 1);
  CHECK(numbers(middle.var.grad()) == Floats{7, 8, 9, 10});
}

TEST_CASE("a tied weight is one span with two names") {
  Toy model;
  auto& embedding = model.add("embedding.weight", {2, 2});
  model.add("body.weight", {2, 2});
  model.tie("head.weight", embedding);
  Parameters parameters(model, {}, ref);
  CHECK(names(parameters.trainable()) == std::vector<std::string>{"body.weight", "embedding.weight"});
  CHECK(parameters.trainable()[1].tied == std::vector<std::string>{"head.weight"});
  CHECK(parameters.count() == 8);
}

TEST_CASE("frozen parameters have an arena without gradients, and can be thawed") {
  Toy model;
  auto& backbone = model.add("backbone.weight", {2, 2}, 1);
  auto& head = model.add("head.weight", {2, 2}, 5);
  {
    Parameters parameters(
        model, {.frozen = [](std::string_view name) { return name.starts_with("backbone"); }}, ref);
    CHECK(names(parameters.trainable()) == std::vector<std::string>{"head.weight"});
    CHECK(names(parameters.frozen()) == std::vector<std::string>{"backbone.weight"});
    CHECK_FALSE(backbone.var.requires_grad());
    CHECK(backbone.var.value().device() == ref);
    CHECK(numbers(backbone.var.value()) == Floats{1, 2, 3, 4});
    CHECK(parameters.gradients().numel() == 16);
  }
  Parameters parameters(model, {}, ref);
  REQUIRE(backbone.var.requires_grad());
  send(backbone, ramp({2, 2}, 9));
  CHECK(numbers(Parameters::part(parameters.gradients(), parameters.trainable()[1])) ==
        Floats{9, 10, 11, 12});
  CHECK(numbers(head.var.value()) == Floats{5, 6, 7, 8});
}

TEST_CASE("what cannot lie in one arena is refused by name") {
  Toy model;
  auto& a = model.add("a", {2});
  SECTION("two parameters over the same memory") {
    model.add("b", {2}).var = a.var;
    CHECK_THROWS_WITH(Parameters(model, {}, ref), ContainsSubstring("a and b share memory"));
  }
  SECTION("two dtypes") {
    model.add("b", {2}).var = Var(Tensor::zeros({2}, DType::f64), true);
    CHECK_THROWS_WITH(Parameters(model, {}, ref), ContainsSubstring("parameter b is f64"));
  }
}

TEST_CASE("a model without parameters has empty arenas") {
  Toy model;
  Parameters parameters(model, {}, ref);
  CHECK(parameters.count() == 0);
  CHECK(parameters.values().numel() == 0);
  CHECK(parameters.segments().empty());
}

}  // namespace
}  // namespace trainer::optim
