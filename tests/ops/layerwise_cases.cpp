#include "lib/ops/layerwise.h"

#include <array>

#include "tests/ops/arenas.h"
#include "tests/ops/cases.h"

namespace trainer::test {
namespace {

using ops::Segment;

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
  for (const int64_t size : arena_sizes()) {
    cases.push_back({
        .name = fmt::format("{} elements", size),
        .inputs =
            [=](Inputs& in) {
              return Tensors{in.f64({0.1, 0.25, 3}), in.f64({0.5, 1, 2, 3}), in.statistic({size}),
                             in.statistic({size})};
            },
        .forward =
            [=](const Tensors& in) {
              Tensor parameter = in[3].clone(), copy = copies(parameter);
              ops::scaled_step(in[0], segments(size), in[1], in[2], parameter, copy);
              check_copies(parameter, copy);
              return Tensors{parameter};
            },
    });
  }
  return cases;
}

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
