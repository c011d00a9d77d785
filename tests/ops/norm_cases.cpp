#include "lib/ops/norm.h"

#include "lib/ops/elementwise.h"

#include "tests/ops/cases.h"

namespace trainer::test {
namespace {

using ops::Activation;
using ops::BatchNormArgs;
using ops::Moments;

const std::vector<Shape> shapes{{2, 3, 5, 1},  {4, 4, 4, 3}, {2, 5, 7, 7}, {3, 1, 1, 17}, {2, 4, 4, 33},
                                {1, 9, 9, 16}, {9, 1},       {64, 10},     {3, 5, 24},    {2, 8, 8, 64}};

std::string title(const Shape& x, Activation activation, bool residual, double eps = 1e-5) {
  return fmt::format("{}{}{}{}", x, residual ? " + residual" : "",
                     activation == Activation::none ? "" : fmt::format(", {}", name_of(activation)),
                     eps == 1e-5 ? "" : ", other eps");
}

/// ReLU6 bends where a normalised value of usual scale never comes.
Tensor gamma(Inputs& in, const Shape& x, Activation activation) {
  const Tensor usual = in.statistic({x.back()});
  return activation == Activation::relu6 ? ops::scale(usual, 3) : usual;
}

/// Statistics of the batch: the gradient flows through them.
Case training(const Shape& x, Activation activation, bool residual, double eps = 1e-5) {
  const Shape channels{x.back()};
  const BatchNormArgs args{.eps = eps, .activation = activation};
  return {
      .name = title(x, activation, residual, eps),
      .terms = x.rows(),
      .inputs =
          [=](Inputs& in) {
            return Tensors{in.normal(x), gamma(in, x, activation), in.statistic(channels),
                           residual ? in.normal(x) : Tensor()};
          },
      .forward =
          [=](const Tensors& in) {
            const Moments m = ops::batch_norm_statistics(in[0]);
            return Tensors{ops::batch_norm_apply(in[0], m, in[1], in[2], in[3], args), m.mean, m.var};
          },
      .backward =
          [=](const Tensors& in, const Tensors& out, const Tensor& dy) {
            const Moments m{out[1], out[2]};
            Tensor dx = Tensor::empty_like(in[0]), dgamma = Tensor::empty_like(in[1]),
                   dbeta = Tensor::empty_like(in[2]),
                   dresidual = residual ? Tensor::empty_like(in[3]) : Tensor();
            ops::batch_norm_backward_reduce(dy, in[0], out[0], m, args, dgamma, dbeta);
            ops::batch_norm_backward_apply(dy, in[0], out[0], m, in[1], dgamma, dbeta,
                                           static_cast<double>(x.rows()), args, dx, dresidual);
            return Tensors{dx, dgamma, dbeta, dresidual};
          },
  };
}

/// Running statistics: constants.
Case evaluation(const Shape& x, Activation activation, bool residual) {
  const Shape channels{x.back()};
  const BatchNormArgs args{.activation = activation};
  return {
      .name = "evaluation, " + title(x, activation, residual),
      .terms = x.rows(),
      .inputs =
          [=](Inputs& in) {
            return Tensors{in.normal(x),           gamma(in, x, activation),
                           in.statistic(channels), residual ? in.normal(x) : Tensor(),
                           in.statistic(channels), in.variance(channels)};
          },
      .forward =
          [=](const Tensors& in) {
            return Tensors{ops::batch_norm_apply(in[0], {in[4], in[5]}, in[1], in[2], in[3], args)};
          },
      .backward =
          [=](const Tensors& in, const Tensors& out, const Tensor& dy) {
            const Moments m{in[4], in[5]};
            Tensor dx = Tensor::empty_like(in[0]), dgamma = Tensor::empty_like(in[1]),
                   dbeta = Tensor::empty_like(in[2]),
                   dresidual = residual ? Tensor::empty_like(in[3]) : Tensor();
            ops::batch_norm_backward_reduce(dy, in[0], out[0], m, args, dgamma, dbeta);
            ops::batch_norm_backward_apply(dy, in[0], out[0], m, in[1], {}, {}, 0, args, dx, dresidual);
            return Tensors{dx, dgamma, dbeta, dresidual, {}, {}};
          },
  };
}

std::vector<Case> batch_norm_cases() {
  std::vector<Case> cases;
  for (const Activation activation : ops::activations) {
    for (const bool residual : {false, true}) {
      for (const Shape& x : shapes) cases.push_back(training(x, activation, residual));
      for (const Shape& x : shapes) cases.push_back(evaluation(x, activation, residual));
    }
  }
  for (int64_t channels = 1; channels <= 70; ++channels)
    cases.push_back(training({3, 2, 2, channels}, Activation::relu, true));
  // Two values normalise to -1 and 1: only a large eps leaves a gradient that is not all rounding.
  cases.push_back(training({2, 1}, Activation::none, false, 0.5));
  cases.push_back(training({6, 9}, Activation::relu, false, 0.5));
  cases.push_back(evaluation({0, 4, 4, 3}, Activation::relu, true));
  return cases;
}

/// A mean far from 0: the variance must not come from a difference of squares.
Case offset(double mean) {
  return {
      .name = fmt::format("mean {}", mean),
      .terms = 1024,
      .inputs =
          [=](Inputs& in) {
            Tensor x = in.normal({64, 4, 4, 5}).to(DType::f64);
            for (double& v : x.span<double>()) v += mean;
            return Tensors{x.to(in.statistic({}).dtype())};
          },
      .forward =
          [](const Tensors& in) {
            const Moments m = ops::batch_norm_statistics(in[0]);
            return Tensors{m.mean, m.var};
          },
  };
}
std::vector<Case> statistics_cases() { return {offset(0), offset(10), offset(-100)}; }

std::vector<Case> update_cases() {
  std::vector<Case> cases;
  for (const double momentum : {0.1, 0.0, 1.0}) {
    cases.push_back({
        .name = fmt::format("momentum {}", momentum),
        .inputs =
            [](Inputs& in) {
              return Tensors{in.statistic({19}), in.variance({19}), in.statistic({19}), in.variance({19})};
            },
        .forward =
            [=](const Tensors& in) {
              Tensor mean = in[2].clone(), var = in[3].clone();
              ops::batch_norm_update({in[0], in[1]}, 7, momentum, mean, var);
              return Tensors{mean, var};
            },
    });
  }
  return cases;
}

/// A batch in two parts: the moments of the parts give those of the whole.
std::vector<Case> sums_cases() {
  std::vector<Case> cases;
  for (const int64_t first : {0, 1, 5, 8}) {
    cases.push_back({
        .name = fmt::format("{} + {} rows", first, 8 - first),
        .terms = 8,
        .inputs =
            [](Inputs& in) {
              return Tensors{in.normal({8, 19})};
            },
        .forward =
            [=](const Tensors& in) {
              Tensor sums = ops::batch_norm_sums(ops::batch_norm_statistics(in[0].slice(0, first)),
                                                 static_cast<double>(first));
              const Tensor rest = ops::batch_norm_sums(ops::batch_norm_statistics(in[0].slice(first, 8)),
                                                       static_cast<double>(8 - first));
              for (int64_t i = 0; i < sums.numel(); ++i) sums.data<double>()[i] += rest.data<double>()[i];
              const Moments whole = ops::batch_norm_statistics(in[0]);
              const Moments m = ops::batch_norm_moments(sums, 8, whole.mean.dtype());
              return Tensors{m.mean, m.var, whole.mean, whole.var};
            },
    });
  }
  return cases;
}

TEST_OP("batch_norm", batch_norm_cases, ops::BatchNormStatistics, ops::BatchNormApply,
        ops::BatchNormBackwardReduce, ops::BatchNormBackwardApply)
TEST_OP("batch_norm_statistics", statistics_cases, ops::BatchNormStatistics)
TEST_OP("batch_norm_sums", sums_cases, ops::BatchNormSums, ops::BatchNormMoments)
TEST_OP("batch_norm_update", update_cases, ops::BatchNormUpdate)

}  // namespace
}  // namespace trainer::test
