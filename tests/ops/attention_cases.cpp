#include "lib/ops/attention.h"

#include "lib/backend/cpu/attention_head.h"
#include "tests/ops/cases.h"

namespace trainer::test {
namespace {

struct Options {
  bool bias = false;
  int64_t masks = 0;
  double scale = 0;
  int64_t queries = 0;
};

/// Shape: N, L, H, D.
Case make(int64_t n, int64_t l, int64_t h, int64_t d, const Options& o = {}) {
  const ops::AttentionArgs args{.scale = o.scale, .queries = o.queries};
  return {
      .name = fmt::format("[{}, {}, {}, {}]{}, {} masks, scale {}, {} queries", n, l, h, d,
                          o.bias ? " + bias" : "", o.masks, o.scale, o.queries),
      .terms = std::max({n, l, d}),
      .inputs =
          [=](Inputs& in) {
            return Tensors{in.normal({n, l, 3, h, d}), o.bias ? in.statistic({h, l, l}) : Tensor(),
                           o.masks > 0 ? in.statistic({o.masks, l, l}) : Tensor()};
          },
      .forward =
          [=](const Tensors& in) {
            const ops::AttentionResult f = ops::attention(in[0], in[1], in[2], args);
            return Tensors{f.y, f.lse};
          },
      .backward =
          [=](const Tensors& in, const Tensors& out, const Tensor& dy) {
            Tensor dqkv = Tensor::empty_like(in[0]), dbias = o.bias ? Tensor::empty_like(in[1]) : Tensor();
            ops::attention_backward(dy, in[0], in[1], in[2], args, {out[0], out[1]}, dqkv, dbias);
            return Tensors{dqkv, dbias, {}};
          },
  };
}

std::vector<Case> attention_cases() {
  std::vector<Case> cases{
      make(1, 1, 1, 1),
      make(2, 5, 3, 8),
      make(3, 17, 2, 16),
      make(1, 50, 2, 64),
      make(2, 33, 1, 7, {.scale = 0.3}),
      make(0, 4, 2, 8),
      make(3, 9, 2, 32, {.bias = true}),
      make(4, 9, 3, 16, {.masks = 2}),
      make(6, 16, 3, 8, {.bias = true, .masks = 3}),
      make(70, 4, 2, 4, {.bias = true}),
      make(2, 97, 2, 24, {.bias = true, .masks = 1}),
      make(3, 33, 2, 16, {.queries = 1}),
      make(2, 50, 3, 32, {.queries = 27}),
      make(4, 31, 2, 8, {.bias = true, .masks = 2, .queries = 30}),
  };
  for (int64_t length = 2; length <= 40; ++length) cases.push_back(make(2, length, 2, 41 - length));
  return cases;
}

TEST_OP("attention", attention_cases, ops::Attention, ops::AttentionBackward)

TEST_CASE("attention: backends, with products of our own or oneDNN's in bf16", "[attention][backends]") {
  using cpu::OwnLoops;
  for (const OwnLoops own :
       {OwnLoops::off, OwnLoops::always, OwnLoops::fast}) {  // fast, as it was, at the end
    INFO("0: oneDNN's, 1: where faster, 2: ours wherever possible: " << static_cast<int>(own));
    cpu::set_attention(own);
    compare_backends("attention", attention_cases(), has_kernels<ops::Attention, ops::AttentionBackward>);
  }
}

}  // namespace
}  // namespace trainer::test
