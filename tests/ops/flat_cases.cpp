#include "lib/ops/flat.h"

#include <cmath>
#include <limits>

#include "tests/ops/arenas.h"
#include "tests/ops/cases.h"

namespace trainer::test {
namespace {

std::vector<Case> sgd_cases() {
  std::vector<Case> cases;
  for (const ops::SgdArgs& args :
       {ops::SgdArgs{0, false}, ops::SgdArgs{0.9, false}, ops::SgdArgs{0.9, true}}) {
    for (const int64_t size : arena_sizes()) {
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
                Tensor parameter = in[2].clone(), momentum = args.momentum == 0 ? Tensor() : in[3].clone(),
                       copy = copies(parameter);
                ops::sgd_step(in[0], segments(size), args, in[1], parameter, momentum, copy);
                check_copies(parameter, copy);
                return Tensors{parameter, momentum};
              },
      });
    }
  }
  return cases;
}

std::vector<Case> segment_squares_cases() {
  std::vector<Case> cases;
  const auto add = [&](int64_t size, const std::vector<ops::Segment>& all) {
    cases.push_back({
        .name = fmt::format("{} elements in {} segments", size, all.size()),
        .terms = std::max<int64_t>(1, size),
        .inputs = [=](Inputs& in) { return Tensors{in.statistic({size})}; },
        .forward = [=](const Tensors& in) { return Tensors{ops::segment_squares(all, in[0])}; },
    });
  };
  for (const int64_t size : arena_sizes()) add(size, segments(size));
  for (const int64_t length : {1, 3, 64, 16384, 16385}) add(70001, rows(70001, length));
  add(5, {});
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
                return Tensors{in.f64({sum}), in.f64({0.1, 0.5, 3})};
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
TEST_OP("segment_squares", segment_squares_cases, ops::SegmentSquares)
TEST_OP("clip_multiplier", clip_cases, ops::ClipMultiplier)

}  // namespace
}  // namespace trainer::test
