#include "lib/ops/elementwise.h"
#include "lib/ops/matmul.h"

#include "tests/ops/cases.h"

namespace trainer::test {
namespace {

Case make(const Shape& x, int64_t out, bool bias, ops::Activation activation = ops::Activation::none) {
  const int64_t rows = x.front(x.rank() - 1).numel();
  return {
      .name = fmt::format("{} to {}{}, {}", x, out, bias ? " with bias" : "", name_of(activation)),
      .terms = std::max({x.back(), out, rows}),
      .inputs =
          [=](Inputs& in) {
            return Tensors{in.normal(x), in.normal({out, x.back()}), bias ? in.normal({out}) : Tensor()};
          },
      .forward = [=](const Tensors& in) { return Tensors{ops::linear(in[0], in[1], in[2], activation)}; },
      .backward =
          [=](const Tensors& in, const Tensors& result, const Tensor& gradient) {
            Tensor dy = gradient.clone();
            ops::activate_backward(gradient, result[0], activation, dy);
            Tensor dx = Tensor::empty_like(in[0]), dw = Tensor::empty_like(in[1]),
                   dbias = bias ? Tensor::empty_like(in[2]) : Tensor();
            ops::linear_backward_data(dy, in[1], dx);
            ops::linear_backward_weight(dy, in[0], dw, dbias);
            return Tensors{dx, dw, dbias};
          },
  };
}

std::vector<Case> linear_cases() {
  std::vector<Case> cases{
      make({1, 1}, 1, false),       make({64, 64}, 256, true), make({64, 256}, 10, true),
      make({3, 1000}, 7, false),    make({200, 17}, 33, true), make({17}, 5, true),
      make({2, 3, 5, 7}, 11, true), make({1, 512}, 100, true), make({0, 4}, 3, true),
  };
  for (int64_t length = 1; length <= 70; ++length)
    cases.push_back(make({1 + length % 5, length}, 71 - length, length % 2 == 0));
  for (const ops::Activation a : ops::activations) {
    cases.push_back(make({64, 64}, 256, true, a));
    cases.push_back(make({600, 20}, 47, true, a));  // by oneDNN
    cases.push_back(make({130, 65}, 66, false, a));
    cases.push_back(make({333, 130}, 200, true, a));  // in several pieces where deterministic
  }
  return cases;
}

Case gelu_of(const Shape& x, int64_t out, bool bias, ops::GeluForm form = ops::GeluForm::exact) {
  Case c = make(x, out, bias);
  c.name = fmt::format("{} to {}{}, {}", x, out, bias ? " with bias" : "",
                       form == ops::GeluForm::exact ? "exact" : "tanh");
  c.forward = [=](const Tensors& in) {
    const auto [y, slope] = ops::linear_gelu(in[0], in[1], in[2], form);
    return Tensors{y, slope, ops::linear_gelu(in[0], in[1], in[2], form, false).y};
  };
  c.backward = [=](const Tensors& in, const Tensors& result, const Tensor& gradient) {
    Tensor dz = gradient.clone(), dx = Tensor::empty_like(in[0]), dw = Tensor::empty_like(in[1]),
           dbias = bias ? Tensor::empty_like(in[2]) : Tensor(), no_bias;
    ops::gelu_backward(dz, result[1], dz, dbias);
    ops::linear_backward_data(dz, in[1], dx);
    ops::linear_backward_weight(dz, in[0], dw, no_bias);
    return Tensors{dx, dw, dbias};
  };
  return c;
}

std::vector<Case> linear_gelu_cases() {
  std::vector<Case> cases{gelu_of({1, 1}, 1, false), gelu_of({0, 4}, 3, true), gelu_of({17}, 5, true)};
  for (const ops::GeluForm form : {ops::GeluForm::exact, ops::GeluForm::tanh}) {
    cases.push_back(gelu_of({2, 3, 5}, 11, true, form));
    cases.push_back(gelu_of({64, 64}, 256, true, form));
    cases.push_back(gelu_of({130, 65}, 66, false, form));
    cases.push_back(gelu_of({3, 200, 20}, 47, true, form));
    cases.push_back(gelu_of({333, 130}, 200, true, form));  // in several pieces where deterministic
  }
  for (int64_t length = 1; length <= 40; ++length)
    cases.push_back(gelu_of({4 + length % 5, length}, 41 - length, length % 2 == 0));
  return cases;
}

TEST_OP("linear_gelu", linear_gelu_cases, ops::LinearGelu, ops::GeluBackward, ops::LinearBackwardData,
        ops::LinearBackwardWeight)

TEST_OP("linear", linear_cases, ops::Linear, ops::LinearBackwardData, ops::LinearBackwardWeight)

std::vector<Case> bias_cases() {
  std::vector<Case> cases;
  for (const Shape& dy : {Shape{1, 1}, Shape{5, 3}, Shape{0, 7}, Shape{2, 3, 4, 70}, Shape{3000, 17}}) {
    cases.push_back({
        .name = dy.str(),
        .terms = std::max<int64_t>(1, dy.rows()),
        .inputs = [=](Inputs& in) { return Tensors{in.normal(dy)}; },
        .forward =
            [](const Tensors& in) {
              Tensor dbias = Tensor::empty({in[0].shape().back()}, in[0].dtype(), in[0].device());
              ops::bias_backward(in[0], dbias);
              return Tensors{dbias};
            },
    });
  }
  return cases;
}

TEST_CASE("bias_backward: backends", "[bias_backward][backends]") {
  compare_backends("bias_backward", bias_cases(), has_kernels<ops::BiasBackward>);
}

TEST_CASE("linear: backends, large enough for several pieces", "[linear][backends]") {
  const std::vector<Case> cases{make({333, 130}, 200, true), make({3, 401, 64}, 131, true),
                                make({650, 47}, 300, false)};
  compare_backends("linear", cases,
                   has_kernels<ops::Linear, ops::LinearBackwardData, ops::LinearBackwardWeight>);
}

TEST_CASE("linear: an activation keeps NaN", "[linear][backends]") {
  for (const int64_t rows : {4, 600}) {
    for (const DType type : {DType::f32, DType::bf16}) {
      Tensor x = Tensor::full({rows, 32}, 1), w = Tensor::full({48, 32}, -1);
      x.data<float>()[33] = std::numeric_limits<float>::quiet_NaN();
      for (const ops::Activation a : ops::activations) {
        const Tensor y = ops::linear(x.to(type), w.to(type), {}, a).to(DType::f32);
        CAPTURE(rows, name_of(type), name_of(a));
        CHECK(y.data<float>()[0] == (a == ops::Activation::none ? -32 : 0));
        CHECK(std::isnan(y.data<float>()[48]));
      }
    }
  }
}

}  // namespace
}  // namespace trainer::test
