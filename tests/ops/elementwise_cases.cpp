#include "lib/ops/elementwise.h"

#include "tests/ops/cases.h"

namespace trainer::test {
namespace {

/// Every remainder of a vector length, an empty tensor, and one that is worth several threads.
std::vector<Shape> shapes() {
  std::vector<Shape> all{{0, 3}, {3, 5, 7, 9}, {70001}};
  for (int64_t length = 1; length <= 70; ++length) all.push_back({length});
  return all;
}

std::vector<Case> activation_cases() {
  std::vector<Case> cases;
  for (const ops::Activation activation : ops::activations) {
    const std::string name(name_of(activation));
    const auto forward = [=](const Tensors& in) { return Tensors{ops::activate(in[0], activation)}; };
    for (const Shape& shape : shapes()) {
      cases.push_back({
          .name = name + " " + shape.str(),
          .inputs =
              [=](Inputs& in) {
                const Tensor x = in.normal(shape);  // times 4: beyond every bend
                return Tensors{ops::scale(x.to(DType::f64), 4).to(x.dtype())};
              },
          .forward = forward,
          .backward =
              [=](const Tensors& in, const Tensors& out, const Tensor& dy) {
                Tensor dx = Tensor::empty_like(in[0]);
                ops::activate_backward(dy, out[0], activation, dx);
                return Tensors{dx};
              },
          .exact = true,
      });
    }
    cases.push_back({.name = name + ", special values",
                     .inputs = [](Inputs& in) { return Tensors{in.special({203})}; },
                     .forward = forward,
                     .exact = true});
  }
  return cases;
}

std::vector<Case> add_cases() {
  std::vector<Case> cases;
  for (const Shape& shape : shapes()) {
    cases.push_back({
        .name = shape.str(),
        .inputs =
            [=](Inputs& in) {
              return Tensors{in.normal(shape), in.normal(shape)};
            },
        .forward =
            [](const Tensors& in) {
              Tensor in_place = in[0].clone();
              ops::add_into(in_place, in[1]);
              return Tensors{ops::add(in[0], in[1]), in_place};
            },
        .backward =
            [](const Tensors&, const Tensors&, const Tensor& dy) {
              return Tensors{dy, dy};
            },
    });
  }
  return cases;
}

/// f32 and the case's type: a residual stream that is wider than what is added to it.
std::vector<Case> mixed_add_cases() {
  std::vector<Case> cases;
  for (const Shape& shape : shapes()) {
    cases.push_back({
        .name = shape.str(),
        .inputs =
            [=](Inputs& in) {
              return Tensors{in.statistic(shape), in.normal(shape)};
            },
        .forward =
            [](const Tensors& in) {
              return Tensors{ops::add(in[0], in[1]), ops::add(in[1], in[0])};
            },
    });
  }
  return cases;
}

std::vector<Case> scale_cases() {
  std::vector<Case> cases;
  for (const Shape& shape : shapes()) {
    cases.push_back({
        .name = shape.str(),
        .inputs = [=](Inputs& in) { return Tensors{in.normal(shape)}; },
        .forward = [](const Tensors& in) { return Tensors{ops::scale(in[0], -1.7)}; },
        .backward = [](const Tensors&, const Tensors&,
                       const Tensor& dy) { return Tensors{ops::scale(dy, -1.7)}; },
    });
  }
  return cases;
}

std::vector<Case> cast_cases() {
  std::vector<Case> cases;
  for (const DType to : {DType::f32, DType::f64, DType::f16, DType::bf16}) {
    for (const Shape& shape : shapes()) {
      cases.push_back({
          .name = fmt::format("{} to {}", shape, name_of(to)),
          .inputs =
              [=](Inputs& in) {
                return Tensors{in.normal(shape), in.special(shape)};
              },
          .forward =
              [=](const Tensors& in) {
                return Tensors{ops::cast(in[0], to), ops::cast(in[1], to)};
              },
          .exact = true,
      });
    }
  }
  return cases;
}

std::vector<Case> dropout_cases() {
  std::vector<Case> cases;
  const auto push = [&](const std::string& name, const Shape& shape, const ops::DropoutArgs& args) {
    cases.push_back({
        .name = name,
        .inputs = [=](Inputs& in) { return Tensors{in.normal(shape)}; },
        .forward = [=](const Tensors& in) { return Tensors{ops::dropout(in[0], args)}; },
        .backward = [=](const Tensors&, const Tensors&,
                        const Tensor& dy) { return Tensors{ops::dropout(dy, args)}; },
    });
  };
  for (const Shape& shape : shapes())
    push(shape.str(), shape, {.p = 0.3, .key = 0xFEDCBA9876543210, .index = 5});
  for (const double p : {0.0, 0.1, 0.999, 1.0}) push(fmt::format("p {}", p), {257}, {.p = p, .key = 9});
  // The first element may lie anywhere in a Philox block of four, and beyond 32 bits.
  for (int64_t first = 1; first < 9; ++first)
    push(fmt::format("from {}", first), {37}, {.key = 1, .index = 3, .first = first});
  push("from 2^34 + 1", {37}, {.key = 1, .index = uint64_t{1} << 40, .first = (int64_t{1} << 34) + 1});
  push("by rows", {13, 3, 2}, {.p = 0.4, .key = 2, .index = 1, .first = 7, .per_row = true});
  push("by rows of 1", {13, 1}, {.p = 0.4, .key = 2, .per_row = true});
  push("by rows, empty", {0, 4}, {.p = 0.4, .key = 2, .per_row = true});
  return cases;
}

TEST_OP("activation", activation_cases, ops::Activate, ops::ActivateBackward)
TEST_OP("add", add_cases, ops::Add)
TEST_OP("add of two types", mixed_add_cases, ops::Add)
TEST_OP("scale", scale_cases, ops::Scale)
TEST_OP("cast", cast_cases, ops::Cast)
TEST_OP("dropout", dropout_cases, ops::Dropout)

}  // namespace
}  // namespace trainer::test
