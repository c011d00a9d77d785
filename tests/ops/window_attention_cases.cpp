#include "lib/ops/window_attention.h"

#include "lib/ops/relative_position.h"
#include "tests/ops/cases.h"

namespace trainer::test {
namespace {

/// Shape: N, H, W, heads, D.
Case make(const Shape& s, const ops::WindowAttentionArgs& args, bool bias = true) {
  const Shape qkv{s[0], s[1], s[2], 3, s[3], s[4]};
  const int64_t length = args.window.h * args.window.w;
  return {
      .name = fmt::format("{} in {}x{}, shift {}x{}{}, scale {}", s, args.window.h, args.window.w,
                          args.shift.h, args.shift.w, bias ? " + bias" : "", args.scale),
      .terms = std::max({s[0] * s[1] * s[2] / length, length, s[4]}),
      .inputs =
          [=](Inputs& in) {
            return Tensors{in.normal(qkv), bias ? in.statistic({s[3], length, length}) : Tensor()};
          },
      .forward =
          [=](const Tensors& in) {
            const ops::WindowAttentionResult f = ops::window_attention(in[0], in[1], args);
            return Tensors{f.y, f.lse};
          },
      .backward =
          [=](const Tensors& in, const Tensors& out, const Tensor& dy) {
            Tensor dqkv = Tensor::empty_like(in[0]), dbias = bias ? Tensor::empty_like(in[1]) : Tensor(),
                   none;
            ops::window_attention_backward(dy, in[0], in[1], args, {out[0], out[1]}, dqkv, dbias);
            Tensor again = Tensor::empty_like(in[0]);
            ops::window_attention_backward(dy, in[0], in[1], args, {out[0], out[1]}, again, none);
            CHECK(difference(again, dqkv, 0) == "");  // the bias is frozen
            return Tensors{dqkv, dbias};
          },
  };
}

std::vector<Case> window_attention_cases() {
  std::vector<Case> cases{
      make({1, 1, 1, 1, 1}, {.window = 1}),
      make({2, 4, 6, 2, 8}, {.window = 2}, false),
      make({2, 4, 6, 2, 8}, {.window = 2, .shift = 1}),
      make({1, 4, 6, 1, 4}, {.window = {4, 2}, .shift = {1, 0}}),
      make({3, 6, 4, 3, 5}, {.window = {2, 4}, .shift = {0, 3}, .scale = 0.7},
           false),                                                 // wraps around a window
      make({2, 3, 5, 2, 7}, {.window = {3, 5}, .shift = {2, 1}}),  // one window
      make({1, 14, 14, 3, 32}, {.window = 7, .shift = 3}),
      make({2, 14, 7, 2, 24}, {.window = 7}),
      make({5, 8, 12, 1, 64}, {.window = 4, .shift = {2, 3}}),
      make({7, 6, 6, 2, 16}, {.window = {3, 2}, .shift = {2, 1}, .scale = 0.1}),
      make({0, 4, 4, 2, 8}, {.window = 2, .shift = 1}),
      make({1, 0, 4, 2, 8}, {.window = 2, .shift = 1}),
      make({9, 16, 8, 1, 3}, {.window = 8, .shift = 4}),
  };
  for (int64_t length = 2; length <= 40; ++length) {  // of every remainder that loops have
    cases.push_back(
        make({1, 1, 2 * length, 2, 41 - length}, {.window = {1, length}, .shift = {0, length / 2}}));
  }
  return cases;
}

Case lookup(int64_t heads, ops::Pair window) {
  const int64_t positions = (2 * window.h - 1) * (2 * window.w - 1);
  return {
      .name = fmt::format("{} heads, {}x{}", heads, window.h, window.w),
      .terms = window.h * window.w,
      .inputs =
          [=](Inputs& in) {
            return Tensors{in.statistic({positions, heads})};
          },
      .forward = [=](const Tensors& in) { return Tensors{ops::relative_position_bias(in[0], window)}; },
      .backward =
          [=](const Tensors& in, const Tensors&, const Tensor& dy) {
            Tensor dtable = Tensor::empty_like(in[0]);
            ops::relative_position_bias_backward(dy, window, dtable);
            return Tensors{dtable};
          },
  };
}

std::vector<Case> relative_position_cases() {
  return {lookup(1, 1), lookup(3, 2), lookup(2, {3, 2}), lookup(4, {1, 5}), lookup(0, 2), lookup(6, 7)};
}

TEST_OP("window_attention", window_attention_cases, ops::WindowAttention, ops::WindowAttentionBackward)
TEST_OP("relative_position_bias", relative_position_cases, ops::RelativePositionBias,
        ops::RelativePositionBiasBackward)

}  // namespace
}  // namespace trainer::test
