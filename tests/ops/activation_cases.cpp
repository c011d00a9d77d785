#include "lib/ops/activation.h"

#include "tests/ops/cases.h"

namespace trainer::test {
namespace {

using ops::Activation;

const char* name_of(Activation a) {
  switch (a) {
    case Activation::relu:
      return "ReLU";
    case Activation::gelu:
      return "GELU";
    case Activation::gelu_tanh:
      return "GELU (tanh)";
    case Activation::none:
      break;
  }
  return "none";
}

Case make(Activation a, const Shape& x, bool large = false) {
  return {
      .name = fmt::format("{} of {}{}", name_of(a), x, large ? ", large" : ""),
      .inputs = [=](Inputs& in) { return Tensors{large ? in.large(x) : in.normal(x)}; },
      .forward = [=](const Tensors& in) { return Tensors{ops::activate(in[0], a)}; },
      .backward =
          [=](const Tensors& in, const Tensors&, const Tensor& dy) {
            Tensor dx = dy.clone();  // in place, as after a linear layer
            ops::activate_backward(dx, in[0], a, dx);
            return Tensors{dx};
          },
  };
}

std::vector<Case> activation_cases() {
  std::vector<Case> cases;
  for (const Activation a : {Activation::none, Activation::relu, Activation::gelu, Activation::gelu_tanh}) {
    for (const Shape& x : {Shape{1}, Shape{0, 3}, Shape{3, 5, 7}, Shape{200, 257}})
      cases.push_back(make(a, x));
    for (int64_t n = 1; n <= 40; ++n) cases.push_back(make(a, {n}));
    cases.push_back(make(a, {1000}, true));
  }
  return cases;
}

TEST_OP("activation", activation_cases, ops::Activate, ops::ActivateBackward)

}  // namespace
}  // namespace trainer::test
