#include "lib/ops/gelu.h"

#include "tests/ops/cases.h"

namespace trainer::test {
namespace {

using ops::GeluForm;

Case make(GeluForm form, const Shape& x, bool large = false) {
  return {
      .name =
          fmt::format("{} of {}{}", form == GeluForm::exact ? "exact" : "tanh", x, large ? ", large" : ""),
      .inputs = [=](Inputs& in) { return Tensors{large ? in.large(x) : in.normal(x)}; },
      .forward =
          [=](const Tensors& in) {
            const auto [y, slope] = ops::gelu(in[0], form);
            return Tensors{y, slope, ops::gelu(in[0], form, false).y};
          },
      .backward =
          [=](const Tensors&, const Tensors& out, const Tensor& dy) {
            Tensor dx = dy.clone(), no_bias;  // in place, as after a linear layer
            ops::gelu_backward(dx, out[1], dx, no_bias);
            return Tensors{dx};
          },
  };
}

std::vector<Case> gelu_cases() {
  std::vector<Case> cases;
  for (const GeluForm form : {GeluForm::exact, GeluForm::tanh}) {
    for (const Shape& x : {Shape{1}, Shape{0, 3}, Shape{3, 5, 7}, Shape{200, 257}})
      cases.push_back(make(form, x));
    for (int64_t n = 1; n <= 40; ++n) cases.push_back(make(form, {n}));
    cases.push_back(make(form, {1000}, true));
  }
  return cases;
}

TEST_OP("gelu", gelu_cases, ops::Gelu, ops::GeluBackward)

}  // namespace
}  // namespace trainer::test
