#include "lib/ops/loss.h"

#include "tests/ops/cases.h"

namespace trainer::test {
namespace {

Case cross_entropy(int64_t rows, int64_t classes, bool hard, double smoothing, bool large = false) {
  const ops::CrossEntropyArgs args{.label_smoothing = smoothing};
  return {
      .name = fmt::format("[{}, {}], {} labels, smoothing {}{}", rows, classes, hard ? "hard" : "soft",
                          smoothing, large ? ", large logits" : ""),
      .terms = std::max(rows, classes),
      .inputs =
          [=](Inputs& in) {
            return Tensors{large ? in.large({rows, classes}) : in.normal({rows, classes}),
                           hard ? in.labels(rows, classes) : in.probabilities(rows, classes)};
          },
      .forward =
          [=](const Tensors& in) {
            const auto [loss, log_sum_exp] = ops::softmax_cross_entropy(in[0], in[1], args);
            return Tensors{loss, log_sum_exp};
          },
      .backward =
          [=](const Tensors& in, const Tensors& out, const Tensor& seed) {
            Tensor dlogits = Tensor::empty_like(in[0]);
            ops::softmax_cross_entropy_backward(seed, in[0], in[1], out[1], args, dlogits);
            return Tensors{dlogits, {}};
          },
  };
}

/// Soft labels that do not sum to 1 (a mixture over several classes).
Case heavy_targets() {
  Case c = cross_entropy(5, 7, false, 0.1);
  c.name = "rows of targets that sum to anything";
  c.inputs = [](Inputs& in) { return Tensors{in.normal({5, 7}), in.statistic({5, 7})}; };
  return c;
}

std::vector<Case> cross_entropy_cases() {
  std::vector<Case> cases;
  for (const double smoothing : {0.0, 0.1}) {
    for (const bool hard : {true, false}) {
      for (const auto& [rows, classes] : {std::pair{1, 1}, {1, 10}, {64, 10}, {7, 1000}, {300, 3}}) {
        cases.push_back(cross_entropy(rows, classes, hard, smoothing));
      }
      for (int64_t classes = 2; classes <= 70; classes += hard ? 1 : 7) {
        cases.push_back(cross_entropy(3, classes, hard, smoothing));
      }
      cases.push_back(cross_entropy(9, 33, hard, smoothing, true));
      cases.push_back(cross_entropy(0, 4, hard, smoothing));
    }
  }
  cases.push_back(heavy_targets());
  return cases;
}

std::vector<Case> mse_cases() {
  std::vector<Shape> shapes{{0, 2}, {64, 1}, {3, 4, 5}, {70001}, {}};
  for (int64_t length = 1; length <= 70; ++length) shapes.push_back({length});
  std::vector<Case> cases;
  for (const Shape& shape : shapes) {
    cases.push_back({
        .name = shape.str(),
        .terms = shape.numel(),
        .inputs =
            [=](Inputs& in) {
              return Tensors{in.normal(shape), in.normal(shape)};
            },
        .forward = [](const Tensors& in) { return Tensors{ops::mse(in[0], in[1])}; },
        .backward =
            [](const Tensors& in, const Tensors&, const Tensor& seed) {
              Tensor dprediction = Tensor::empty_like(in[0]);
              ops::mse_backward(seed, in[0], in[1], dprediction);
              return Tensors{dprediction, {}};
            },
    });
  }
  return cases;
}

TEST_OP("softmax_cross_entropy", cross_entropy_cases, ops::SoftmaxCrossEntropy,
        ops::SoftmaxCrossEntropyBackward)
TEST_OP("mse", mse_cases, ops::Mse, ops::MseBackward)

}  // namespace
}  // namespace trainer::test
