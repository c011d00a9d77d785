#include "lib/ops/layout.h"

#include "tests/ops/cases.h"

namespace trainer::test {
namespace {

std::vector<Case> swap_axes_cases() {
  std::vector<Case> cases;
  std::vector<Shape> shapes{{1, 1, 1},   {2, 3, 5, 7},    {2, 8, 8, 3}, {2, 9, 7, 64}, {1, 70, 33},
                            {3, 16, 16}, {1, 2, 3, 4, 5}, {4, 6},       {5},           {0, 2, 2, 3}};
  for (int64_t length = 1; length <= 70; ++length) shapes.push_back({2, length, 71 - length});
  for (const Shape& x : shapes) {
    cases.push_back({
        .name = x.str(),
        .inputs =
            [=](Inputs& in) {
              return Tensors{in.normal(x), in.labels(12, 200).view({2, 3, 2})};
            },
        .forward =
            [](const Tensors& in) {
              return Tensors{ops::to_channels_first(in[0]), ops::to_channels_last(in[0]),
                             ops::to_channels_first(in[1])};
            },
        .backward =
            [](const Tensors&, const Tensors&, const Tensor& dy) {
              return Tensors{ops::to_channels_last(dy), {}};
            },
        .exact = true,
    });
  }
  return cases;
}

TEST_OP("swap_axes", swap_axes_cases, ops::SwapAxes)

}  // namespace
}  // namespace trainer::test
