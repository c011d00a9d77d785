#include "lib/ops/layerwise.h"

#include <algorithm>
#include <array>

#include "tests/ops/arenas.h"

namespace trainer::test {
namespace {

using ops::Segment;

/// One segment for every `length` elements.
std::vector<Segment> rows(int64_t size, int64_t length) {
  std::vector<Segment> all;
  for (int64_t i = 0; i < size; i += length) all.push_back({i, std::min(size, i + length)});
  return all;
}

std::vector<int64_t> sizes() { return {0, 1, 2, 7, 64, 65, 70, 1000, 70001}; }

std::vector<Case> segment_squares_cases() {
  std::vector<Case> cases;
  const auto add = [&](int64_t size, const std::vector<Segment>& all) {
    cases.push_back({
        .name = fmt::format("{} elements in {} segments", size, all.size()),
        .terms = std::max<int64_t>(1, size),
        .inputs = [=](Inputs& in) { return Tensors{in.statistic({size})}; },
        .forward = [=](const Tensors& in) { return Tensors{ops::segment_squares(all, in[0])}; },
    });
  };
  for (const int64_t size : sizes()) add(size, segments(size));
  for (const int64_t length : {1, 3, 64, 16384, 16385}) add(70001, rows(70001, length));
  add(5, {});
  return cases;
}

std::vector<Case> adam_direction_cases() {
  std::vector<Case> cases;
  for (const double step : {1.0, 1000.0}) {
    for (const int64_t size : sizes()) {
      cases.push_back({
          .name = fmt::format("{} elements, step {}", size, step),
          .inputs = [=](Inputs& in) { return adam_inputs(in, size, step); },
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

std::vector<Case> trust_ratio_cases() {
  std::vector<Case> cases;
  for (const ops::TrustRatioArgs& args :
       {ops::TrustRatioArgs{}, ops::TrustRatioArgs{.clip = true}, ops::TrustRatioArgs{.always = true}}) {
    cases.push_back({
        .name = fmt::format("clip {}, always {}", args.clip, args.always),
        .inputs =
            [](Inputs& in) {
              return Tensors{in.f64({4, 9, 0, 2, 1e300, 3}), in.f64({9, 4, 2, 0, 1e-300, 3})};
            },
        .forward =
            [=](const Tensors& in) {
              std::vector<Segment> all = rows(6, 1);
              for (size_t i = 0; i < 5; ++i) all[i].weight_decay = 0.1;
              return Tensors{ops::trust_ratio(all, args, in[0], in[1])};
            },
    });
  }
  return cases;
}

std::vector<Case> scaled_step_cases() {
  std::vector<Case> cases;
  for (const int64_t size : sizes()) {
    cases.push_back({
        .name = fmt::format("{} elements", size),
        .inputs =
            [=](Inputs& in) {
              return Tensors{in.f64({0.1, 0.25, 3}), in.f64({0.5, 1, 2, 3}), in.statistic({size}),
                             in.statistic({size})};
            },
        .forward =
            [=](const Tensors& in) {
              Tensor parameter = in[3].clone();
              ops::scaled_step(in[0], segments(size), in[1], in[2], parameter);
              return Tensors{parameter};
            },
    });
  }
  return cases;
}

TEST_OP("segment_squares", segment_squares_cases, ops::SegmentSquares)
TEST_OP("adam_direction", adam_direction_cases, ops::AdamDirection)
TEST_OP("trust_ratio", trust_ratio_cases, ops::TrustRatio)
TEST_OP("scaled_step", scaled_step_cases, ops::ScaledStep)

TEST_CASE("trust_ratio: what has no norm or no decay is stepped as it is", "[trust_ratio]") {
  const auto ratios = [](const ops::TrustRatioArgs& args) {
    const std::vector<Segment> all{{0, 1, 1, 0.1}, {1, 2, 1, 0}, {2, 3, 1, 0.1}, {3, 4, 1, 0.1}};
    const Tensor p = Tensor::of<double>(std::array{16.0, 16.0, 0.0, 4.0}, {4});
    const Tensor d = Tensor::of<double>(std::array{4.0, 4.0, 4.0, 0.0}, {4});
    const Tensor ratio = ops::trust_ratio(all, args, p, d);
    return std::vector<double>(ratio.span<double>().begin(), ratio.span<double>().end());
  };
  CHECK(ratios({}) == std::vector<double>{2, 1, 1, 1});
  CHECK(ratios({.always = true}) == std::vector<double>{2, 2, 1, 1});
  CHECK(ratios({.clip = true, .always = true}) == std::vector<double>{1, 1, 1, 1});
}

}  // namespace
}  // namespace trainer::test
