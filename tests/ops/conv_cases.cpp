#include "lib/ops/conv.h"

#include <array>

#include "lib/backend/cpu/depthwise.h"
#include "lib/backend/cpu/unfolded.h"
#include "lib/backend/cpu/winograd.h"
#include "tests/ops/cases.h"

namespace trainer::test {
namespace {

struct Conv {
  const char* name;
  Shape x;
  int64_t out;
  ops::Pair kernel;
  ops::Conv2dArgs args = {};
  bool bias = false;
};

std::vector<Conv> convolutions() {
  return {
      {"1x1, one of everything", {1, 1, 1, 1}, 1, 1},
      {"1x1", {2, 5, 7, 17}, 33, 1},
      {"1x1 stride 2", {2, 7, 6, 7}, 16, 1, {.stride = 2}},
      {"1x1 with bias", {3, 4, 4, 16}, 8, 1, {}, true},
      {"3x3 without padding", {1, 3, 3, 3}, 7, 3},
      {"3x3", {2, 8, 8, 16}, 16, 3, {.padding = 1}},
      {"3x3 of 1 channel", {2, 9, 5, 1}, 8, 3, {.padding = 1}, true},
      {"3x3 of 3 channels", {2, 8, 9, 3}, 17, 3, {.padding = 1}},
      {"3x3 odd channels", {1, 6, 7, 33}, 7, 3, {.padding = 1}, true},
      {"3x3, more rows than a tile", {1, 19, 21, 32}, 32, 3, {.padding = 1}},
      {"3x3 of 64 channels", {2, 8, 8, 64}, 64, 3, {.padding = 1}},
      {"3x3 stride 2", {2, 9, 9, 16}, 32, 3, {.stride = 2, .padding = 1}},
      {"3x3 stride 2, even", {2, 8, 8, 7}, 3, 3, {.stride = 2, .padding = 1}, true},
      {"3x3 stride 3", {1, 11, 10, 8}, 8, 3, {.stride = 3, .padding = 1}},
      {"3x3 dilation 2", {2, 9, 8, 8}, 16, 3, {.padding = 2, .dilation = 2}},
      {"3x3 dilation 2 stride 2", {1, 11, 9, 3}, 5, 3, {.stride = 2, .padding = 2, .dilation = 2}},
      {"3x3 on one row", {2, 1, 9, 8}, 8, 3, {.padding = 1}},
      {"3x3 on one pixel", {2, 1, 1, 8}, 8, 3, {.padding = 1}},
      {"3x3, padding wider than half", {1, 4, 5, 3}, 4, 3, {.padding = 3}},
      {"1x1 with padding", {1, 3, 3, 2}, 3, 1, {.stride = 2, .padding = 1}, true},
      {"2x2 stride 2", {2, 8, 8, 16}, 24, 2, {.stride = 2}},
      {"4x4 stride 4", {2, 12, 8, 3}, 24, 4, {.stride = 4}, true},
      {"5x5", {1, 7, 8, 8}, 9, 5, {.padding = 2}},
      {"7x7 stride 2", {1, 15, 16, 3}, 64, 7, {.stride = 2, .padding = 3}},
      {"1x7 and other per-axis values",
       {2, 6, 13, 5},
       6,
       {1, 7},
       {.stride = {1, 2}, .padding = {0, 3}, .dilation = {1, 1}}},
      {"7x1", {1, 13, 6, 8}, 8, {7, 1}, {.padding = {3, 0}}},
      {"groups 2", {2, 6, 6, 8}, 16, 3, {.padding = 1, .groups = 2}, true},
      {"groups 2 stride 2", {2, 7, 7, 6}, 4, 3, {.stride = 2, .padding = 1, .groups = 2}},
      {"groups 32", {1, 5, 5, 128}, 128, 3, {.padding = 1, .groups = 32}},
      {"depthwise 3x3", {2, 7, 8, 33}, 33, 3, {.padding = 1, .groups = 33}},
      {"depthwise 3x3 stride 2", {2, 9, 9, 16}, 16, 3, {.stride = 2, .padding = 1, .groups = 16}, true},
      {"depthwise 5x5 dilation 2", {1, 9, 9, 7}, 7, 5, {.padding = 4, .dilation = 2, .groups = 7}},
      {"depthwise 7x7", {1, 9, 10, 24}, 24, 7, {.padding = 3, .groups = 24}, true},
      {"depthwise 7x7 of 37 channels, stride 2",
       {2, 13, 10, 37},
       37,
       7,
       {.stride = 2, .padding = 3, .groups = 37}},
      {"depthwise 7x7 on one pixel", {2, 1, 1, 18}, 18, 7, {.padding = 3, .groups = 18}},
      {"depthwise 5x5", {1, 6, 17, 21}, 21, 5, {.padding = 2, .groups = 21}, true},
      {"depthwise 5x5 stride 2, wide", {1, 5, 37, 16}, 16, 5, {.stride = 2, .padding = 2, .groups = 16}},
      {"depthwise 5x5, padding on one axis", {2, 7, 9, 33}, 33, 5, {.padding = {2, 0}, .groups = 33}, true},
      {"depthwise 3x3 stride 2, a row that no window reaches",
       {1, 8, 8, 20},
       20,
       3,
       {.stride = 2, .groups = 20}},
      {"depthwise 3x3 stride 2, padding 1 and 0",
       {1, 9, 12, 40},
       40,
       3,
       {.stride = 2, .padding = {1, 0}, .groups = 40}},
      {"depthwise 3x3, padding wider than half", {1, 4, 5, 17}, 17, 3, {.padding = 3, .groups = 17}},
      {"depthwise 3x3 stride 2, padding wider than half",
       {1, 4, 5, 17},
       17,
       3,
       {.stride = 2, .padding = 3, .groups = 17}},
      {"depthwise 3x3 of few channels", {2, 6, 5, 3}, 3, 3, {.padding = 1, .groups = 3}, true},
      {"depthwise 3x3 stride 3", {1, 9, 8, 16}, 16, 3, {.stride = 3, .padding = 1, .groups = 16}},
      {"depthwise 3x3 dilation 2", {1, 9, 8, 16}, 16, 3, {.padding = 2, .dilation = 2, .groups = 16}},
      {"depthwise 3x5", {1, 6, 7, 32}, 32, {3, 5}, {.padding = {1, 2}, .groups = 32}},
      {"depthwise with multiplier 2", {1, 5, 5, 3}, 6, 3, {.padding = 1, .groups = 3}},
      {"3x3, 5x5 maps", {5, 5, 5, 19}, 33, 3, {.padding = 1}, true},
      {"3x3 without padding, 17x9 maps", {1, 17, 9, 12}, 20, 3},
      {"3x3, 13x17 maps", {3, 13, 17, 36}, 24, 3, {.padding = 1}},
      {"3x3, padding on one axis", {2, 7, 11, 65}, 40, 3, {.padding = {0, 1}}, true},
      {"empty batch", {0, 5, 5, 4}, 3, 3, {.padding = 1}, true},
  };
}

/// Where the CPU backend uses Winograd's algorithm by itself, and where deterministic mode cuts the samples
/// into pieces, not all of a size. (Too large for differences in f64.)
std::vector<Conv> large_convolutions() {
  return {
      {"groups 2, 7 samples", {7, 8, 8, 32}, 64, 3, {.padding = 1, .groups = 2}, true},
      {"1x1 stride 2, 5 samples", {5, 15, 14, 96}, 130, 1, {.stride = 2}, true},
      {"3x3 stride 2, 11 samples", {11, 17, 16, 20}, 37, 3, {.stride = 2, .padding = 1}},
      {"3x3 dilation 2, 9 samples", {9, 12, 12, 17}, 33, 3, {.padding = 2, .dilation = 2}, true},
      {"depthwise 3x3, 9 samples", {9, 28, 27, 68}, 68, 3, {.padding = 1, .groups = 68}, true},
      {"depthwise 5x5 stride 2, 7 samples",
       {7, 30, 29, 72},
       72,
       5,
       {.stride = 2, .padding = 2, .groups = 72}},
      {"depthwise 7x7, 5 samples", {5, 17, 16, 90}, 90, 7, {.padding = 3, .groups = 90}, true},
      {"3x3, 12x12 maps of many channels", {4, 12, 12, 64}, 48, 3, {.padding = 1}, true},
      {"3x3 without padding, of many channels", {4, 14, 14, 64}, 64, 3},
  };
}

Case make(const Conv& v) {
  const Shape w{v.out, v.kernel.h, v.kernel.w, v.x[3] / v.args.groups};
  const Shape y = ops::conv2d_shape(v.x, w, v.args);
  return {
      .name = v.name,
      .terms = std::max({w.drop_front().numel(), y.rows(), v.kernel.h * v.kernel.w * v.out}),
      .inputs =
          [=](Inputs& in) {
            return Tensors{in.normal(v.x), in.normal(w), v.bias ? in.normal({v.out}) : Tensor()};
          },
      .forward = [=](const Tensors& in) { return Tensors{ops::conv2d(in[0], in[1], in[2], v.args)}; },
      .backward =
          [=](const Tensors& in, const Tensors&, const Tensor& dy) {
            Tensor dx = Tensor::empty_like(in[0]), dw = Tensor::empty_like(in[1]),
                   dbias = v.bias ? Tensor::empty_like(in[2]) : Tensor();
            ops::conv2d_backward_data(dy, in[1], v.args, dx);
            ops::conv2d_backward_weight(dy, in[0], v.args, dw, dbias);
            return Tensors{dx, dw, dbias};
          },
  };
}

std::vector<Case> conv2d_cases() {
  std::vector<Case> cases;
  for (const Conv& v : convolutions()) cases.push_back(make(v));
  return cases;
}

TEST_OP("conv2d", conv2d_cases, ops::Conv2d, ops::Conv2dBackwardData, ops::Conv2dBackwardWeight)

TEST_CASE("conv2d: backends, by loops of our own or not", "[conv2d][backends]") {
  std::vector<Case> cases = conv2d_cases();
  for (const Conv& v : large_convolutions()) cases.push_back(make(v));
  using cpu::OwnLoops;
  for (const OwnLoops loops :
       {OwnLoops::off, OwnLoops::always, OwnLoops::fast}) {  // fast, as it was, at the end
    INFO("0: oneDNN alone, 1: where faster, 2: ours wherever possible: " << static_cast<int>(loops));
    cpu::set_winograd(loops);
    cpu::set_depthwise(loops);
    cpu::set_unfolded(loops);
    compare_backends("conv2d", cases,
                     has_kernels<ops::Conv2d, ops::Conv2dBackwardData, ops::Conv2dBackwardWeight>);
  }
}

}  // namespace
}  // namespace trainer::test
