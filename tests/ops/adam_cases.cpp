#include "lib/ops/adam.h"

#include "tests/ops/arenas.h"
#include "tests/ops/cases.h"

namespace trainer::test {
namespace {

/// Control, two arenas (gradient and parameter) and the two moments.
Tensors state(Inputs& in, int64_t size, double step) {
  const Tensor control = in.f64({0.001, 0.25, step});
  return {control, in.statistic({size}), in.statistic({size}), in.statistic({size}), in.variance({size})};
}

std::vector<Case> adamw_cases() {
  std::vector<Case> cases;
  for (const double step : {1.0, 2.0, 1000.0}) {
    for (const int64_t size : arena_sizes()) {
      cases.push_back({
          .name = fmt::format("{} elements, step {}", size, step),
          .inputs = [=](Inputs& in) { return state(in, size, step); },
          .forward =
              [=](const Tensors& in) {
                Tensor parameter = in[2].clone(), exp_avg = in[3].clone(), exp_avg_sq = in[4].clone(),
                       copy = copies(parameter);
                ops::adamw_step(in[0], segments(size), {}, in[1], parameter, exp_avg, exp_avg_sq, copy);
                check_copies(parameter, copy);
                return Tensors{parameter, exp_avg, exp_avg_sq};
              },
      });
    }
  }
  return cases;
}

std::vector<Case> adam_direction_cases() {
  std::vector<Case> cases;
  for (const double step : {1.0, 1000.0}) {
    for (const int64_t size : arena_sizes()) {
      cases.push_back({
          .name = fmt::format("{} elements, step {}", size, step),
          .inputs = [=](Inputs& in) { return state(in, size, step); },
          .forward =
              [=](const Tensors& in) {
                Tensor gradient = in[2].clone(), exp_avg = in[3].clone(), exp_avg_sq = in[4].clone();
                ops::adam_direction(in[0], segments(size), {}, in[1], gradient, exp_avg, exp_avg_sq);
                return Tensors{gradient, exp_avg, exp_avg_sq};
              },
      });
    }
  }
  return cases;
}

TEST_OP("adamw_step", adamw_cases, ops::AdamWStep)
TEST_OP("adam_direction", adam_direction_cases, ops::AdamDirection)

}  // namespace
}  // namespace trainer::test
