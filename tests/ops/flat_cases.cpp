#include "lib/ops/flat.h"

#include <cmath>
#include <limits>

#include "tests/ops/arenas.h"

namespace trainer::test {
namespace {

std::vector<int64_t> sizes() {
  std::vector<int64_t> all{0, 1000, 70001};
  for (int64_t size = 1; size <= 70; ++size) all.push_back(size);
  return all;
}

std::vector<Case> sgd_cases() {
  std::vector<Case> cases;
  for (const ops::SgdArgs& args :
       {ops::SgdArgs{0, false}, ops::SgdArgs{0.9, false}, ops::SgdArgs{0.9, true}}) {
    for (const int64_t size : sizes()) {
      cases.push_back({
          .name = fmt::format("{} elements, momentum {}{}", size, args.momentum,
                              args.nesterov ? ", nesterov" : ""),
          .inputs =
              [=](Inputs& in) {
                const Tensor control = in.f64({0.1, 0.25, 3});
                return Tensors{control, in.statistic({size}), in.statistic({size}), in.statistic({size})};
              },
          .forward =
              [=](const Tensors& in) {
                Tensor parameter = in[2].clone(), momentum = args.momentum == 0 ? Tensor() : in[3].clone();
                ops::sgd_step(in[0], segments(size), args, in[1], parameter, momentum);
                return Tensors{parameter, momentum};
              },
      });
    }
  }
  return cases;
}

std::vector<Case> adamw_cases() {
  std::vector<Case> cases;
  for (const double step : {1.0, 2.0, 1000.0}) {
    for (const int64_t size : sizes()) {
      cases.push_back({
          .name = fmt::format("{} elements, step {}", size, step),
          .inputs = [=](Inputs& in) { return adam_inputs(in, size, step); },
          .forward =
              [=](const Tensors& in) {
                Tensor parameter = in[2].clone(), exp_avg = in[3].clone(), exp_avg_sq = in[4].clone();
                ops::adamw_step(in[0], segments(size), {}, in[1], parameter, exp_avg, exp_avg_sq);
                return Tensors{parameter, exp_avg, exp_avg_sq};
              },
      });
    }
  }
  return cases;
}

std::vector<Case> sum_of_squares_cases() {
  std::vector<Case> cases;
  for (const int64_t size : sizes()) {
    cases.push_back({
        .name = fmt::format("{} elements", size),
        .terms = std::max<int64_t>(1, size),
        .inputs = [=](Inputs& in) { return Tensors{in.statistic({size})}; },
        .forward = [](const Tensors& in) { return Tensors{ops::sum_of_squares(in[0])}; },
    });
  }
  return cases;
}

std::vector<Case> clip_cases() {
  constexpr double infinity = std::numeric_limits<double>::infinity();
  std::vector<Case> cases;
  for (const double sum : {0.0, 1e-6, 4.0, 1e4, infinity, std::numeric_limits<double>::quiet_NaN()}) {
    for (const double max_norm : {0.5, 5.0, infinity}) {
      cases.push_back({
          .name = fmt::format("sum of squares {}, maximum {}", sum, max_norm),
          .inputs =
              [=](Inputs& in) {
                return Tensors{in.f64({sum}).view({}), in.f64({0.1, 0.5, 3})};
              },
          .forward =
              [=](const Tensors& in) {
                Tensor control = in[1].clone();
                ops::clip_multiplier(in[0], max_norm, control);
                return Tensors{control};
              },
      });
    }
  }
  return cases;
}

TEST_OP("sgd_step", sgd_cases, ops::SgdStep)
TEST_OP("adamw_step", adamw_cases, ops::AdamWStep)
TEST_OP("sum_of_squares", sum_of_squares_cases, ops::SumOfSquares)
TEST_OP("clip_multiplier", clip_cases, ops::ClipMultiplier)

}  // namespace
}  // namespace trainer::test
