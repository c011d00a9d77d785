// A mistake is reported by op, tensor and what was expected of it.
#include "lib/ops/attention.h"
#include "lib/ops/conv.h"
#include "lib/ops/elementwise.h"
#include "lib/ops/flat.h"
#include "lib/ops/layer_norm.h"
#include "lib/ops/layout.h"
#include "lib/ops/loss.h"
#include "lib/ops/matmul.h"
#include "lib/ops/norm.h"
#include "lib/ops/pool.h"
#include "lib/ops/relative_position.h"
#include "lib/ops/tokens.h"
#include "lib/ops/window_attention.h"
#include "tests/ops/cases.h"

namespace trainer::test {
namespace {

constexpr Device ref{Device::Kind::ref};

Tensor zeros(const Shape& shape, DType dtype = DType::f32) { return Tensor::zeros(shape, dtype, ref); }

#define CHECK_FAILS(expression, message) CHECK_THROWS_WITH(expression, ContainsSubstring(message))

TEST_CASE("conv2d says what does not fit", "[errors][conv2d]") {
  const Tensor x = zeros({2, 5, 5, 3});
  CHECK_FAILS(ops::conv2d(x, zeros({8, 3, 3, 4})),
              "conv2d: input has 3 channels, weight expects 4 (groups 1)");
  CHECK_FAILS(ops::conv2d(x, zeros({8, 3, 3, 2}), {}, {.groups = 2}),
              "input has 3 channels, weight expects 4 (groups 2)");
  CHECK_FAILS(ops::conv2d(x, zeros({7, 3, 3, 3}), {}, {.groups = 2}),
              "7 output channels do not divide into 2 groups");
  CHECK_FAILS(ops::conv2d(x, zeros({8, 3, 3, 3}, DType::f64)),
              "conv2d: weight is f64 [8, 3, 3, 3] on ref, expected f32 on ref");
  CHECK_FAILS(ops::conv2d(x, zeros({8, 3, 3, 3}).to(Device{})),
              "weight is f32 [8, 3, 3, 3] on cpu, expected f32 on ref");
  CHECK_FAILS(ops::conv2d(x, {}), "conv2d: weight is undefined");
  CHECK_FAILS(ops::conv2d(x, zeros({8, 3, 3, 3}), zeros({3})),
              "conv2d: bias is f32 [3] on ref, expected f32 [8] on ref");
  CHECK_FAILS(ops::conv2d(x, zeros({8, 7, 7, 3})),
              "conv2d: a kernel of 7 rows does not fit into an input of 5 with padding");
  CHECK_FAILS(ops::conv2d(x, zeros({8, 1, 3, 3}), {}, {.dilation = 3}), "a kernel of 7 columns does not fit");
  CHECK_FAILS(ops::conv2d(x, zeros({8, 3, 3, 3}), {}, {.stride = 0}), "conv2d: stride 0x0 must be positive");
  CHECK_FAILS(ops::conv2d(zeros({5, 5, 3}), zeros({8, 3, 3, 3})),
              "conv2d: input is [5, 5, 3], expected [N, H, W, C]");
  Tensor dx = zeros({2, 5, 5, 3}), dw = zeros({8, 3, 3, 3}), none;
  CHECK_FAILS(ops::conv2d_backward_data(zeros({2, 5, 5, 8}), dw, {}, dx),
              "conv2d_backward_data: dy is f32 [2, 5, 5, 8] on ref, expected f32 [2, 3, 3, 8] on ref");
  CHECK_FAILS(ops::conv2d_backward_weight(zeros({2, 5, 5, 8}), x, {}, dw, none),
              "conv2d_backward_weight: dy is");
  CHECK_FAILS(ops::conv2d_backward_weight(zeros({2, 3, 3, 8}), x, {}, dw, dx),
              "dbias is f32 [2, 5, 5, 3] on ref, expected f32 [8]");
}

TEST_CASE("linear says what does not fit", "[errors][linear]") {
  CHECK_FAILS(ops::linear(zeros({4, 6}), zeros({3, 5})), "linear: input has 6 features, weight expects 5");
  CHECK_FAILS(ops::linear(zeros({}), zeros({3, 5})), "linear: input is [], expected [..., I]");
  CHECK_FAILS(ops::linear(zeros({4, 5}, DType::i64), zeros({3, 5})),
              "linear: input is i64 [4, 5] on ref, expected a floating type");
}

TEST_CASE("elementwise ops want equal shapes", "[errors][add][dropout][cast]") {
  CHECK_FAILS(ops::add(zeros({4, 6}), zeros({6})),
              "add: the second operand is f32 [6] on ref, expected f32 [4, 6] on ref");
  CHECK_FAILS(ops::dropout(zeros({4}), {.p = 1.5}), "dropout: probability 1.5 is outside [0, 1]");
  CHECK_FAILS(ops::cast(zeros({4}), DType::i64), "cast: i64 is not a floating type");
  CHECK_FAILS(ops::cast(Tensor(), DType::f16), "cast: input is undefined, expected a floating type");
  CHECK_FAILS(ops::activate(zeros({4}, DType::f16), ops::Activation::relu), "activate: no f16 kernel on ref");
}

TEST_CASE("batch_norm says what does not fit", "[errors][batch_norm]") {
  const Tensor x = zeros({4, 6});
  const ops::Moments m = ops::batch_norm_statistics(x);
  CHECK_FAILS(ops::batch_norm_apply(x, m, zeros({5}), zeros({6}), {}, {}),
              "batch_norm_apply: gamma is f32 [5] on ref, expected f32 [6]");
  CHECK_FAILS(ops::batch_norm_apply(x, m, zeros({6}), zeros({6}), zeros({6}), {}),
              "residual is f32 [6] on ref, expected f32 [4, 6]");
  Tensor dgamma = zeros({6}), dbeta = zeros({6});
  CHECK_FAILS(
      ops::batch_norm_backward_reduce(x, x, {}, m, {.activation = ops::Activation::relu}, dgamma, dbeta),
      "y is undefined");
  CHECK_FAILS(ops::batch_norm_update(m, 1, 0.1, dgamma, dbeta),
              "batch_norm_update: 1 values per channel have no unbiased variance");
}

TEST_CASE("layer_norm says what does not fit", "[errors][layer_norm]") {
  const Tensor x = zeros({2, 5, 3}), c = zeros({3});
  CHECK_FAILS(ops::layer_norm(x, {}, zeros({4}), c), "layer_norm: gamma is f32 [4] on ref, expected f32 [3]");
  CHECK_FAILS(ops::layer_norm(x, zeros({2, 3}), c, c), "layer_norm: residual is f32 [2, 3] on ref");
  CHECK_FAILS(ops::layer_norm(zeros({}), {}, c, c), "layer_norm: input is [], expected [..., C]");
  const ops::LayerNormResult f = ops::layer_norm(x, {}, c, c);
  Tensor dx = zeros(x.shape()), dgamma = zeros({3}), none;
  CHECK_FAILS(ops::layer_norm_backward(x, f, c, {}, dx, dgamma, none), "one of dgamma and dbeta is missing");
  CHECK_FAILS(
      ops::layer_norm_backward(x, {.sum = x, .y = x, .mean = {}, .rstd = f.rstd}, c, {}, dx, none, none),
      "layer_norm_backward: mean is undefined, expected f32 [2, 5] on ref");
}

TEST_CASE("attention and tokens say what does not fit", "[errors][attention][embed_tokens]") {
  const Tensor qkv = zeros({4, 5, 3, 2, 8});
  CHECK_FAILS(ops::attention(zeros({4, 5, 48})), "attention: qkv is [4, 5, 48], expected [N, L, 3, H, D]");
  CHECK_FAILS(ops::attention(qkv, zeros({2, 5, 4})),
              "bias is f32 [2, 5, 4] on ref, expected f32 [2, 5, 5] on ref");
  CHECK_FAILS(ops::attention(qkv, {}, zeros({3, 5, 5})),
              "attention: 4 samples are not a multiple of the 3 masks");
  Tensor dqkv = zeros(qkv.shape()), none;
  const Tensor y = zeros({4, 5, 2, 8});
  CHECK_FAILS(ops::attention_backward(y, qkv, {}, {}, {}, {.y = y, .lse = {}}, dqkv, none),
              "attention_backward: lse is undefined, expected f32 [4, 2, 5] on ref");
  CHECK_FAILS(ops::attention(qkv, {}, {}, {.scale = -1}), "attention: scale -1 is negative");
  CHECK_FAILS(ops::attention(qkv, {}, {}, {.queries = 6}), "attention: 6 queries of sequences of 5 tokens");
  CHECK_FAILS(ops::embed_tokens(zeros({2, 4, 3}), zeros({1, 1, 3}), zeros({1, 4, 3})),
              "position is f32 [1, 4, 3] on ref, expected f32 [1, 5, 3] on ref");
  CHECK_FAILS(ops::slice_tokens(zeros({2, 4, 3}), 1, 5),
              "slice_tokens: tokens [1, 5) are outside of a sequence of 4");
}

TEST_CASE("attention in windows says what does not fit", "[errors][window_attention]") {
  const Tensor qkv = zeros({1, 4, 6, 3, 2, 8});
  CHECK_FAILS(ops::window_attention(zeros({1, 4, 6, 48}), {}, {.window = 2}),
              "window_attention: qkv is [1, 4, 6, 48], expected [N, H, W, 3, heads, D]");
  CHECK_FAILS(ops::window_attention(qkv, {}, {.window = 4}),
              "window_attention: a map of 4x6 tokens cannot be cut into windows of 4x4");
  CHECK_FAILS(ops::window_attention(qkv, {}, {.window = 2, .shift = {1, 2}}),
              "window_attention: shift 1x2 is not within a window of 2x2");
  CHECK_FAILS(ops::window_attention(qkv, zeros({2, 4, 5}), {.window = 2}),
              "bias is f32 [2, 4, 5] on ref, expected f32 [2, 4, 4] on ref");
  Tensor dqkv = zeros(qkv.shape()), dbias = zeros({2, 4, 4});
  const Tensor y = zeros({1, 4, 6, 2, 8});
  CHECK_FAILS(ops::window_attention_backward(y, qkv, {}, {.window = 2}, {.y = y, .lse = {}}, dqkv, dbias),
              "window_attention_backward: lse is undefined, expected f32 [1, 6, 2, 4] on ref");
  CHECK_FAILS(ops::window_attention_backward(y, qkv, {}, {.window = 2}, {.y = y, .lse = zeros({1, 6, 2, 4})},
                                             dqkv, dbias),
              "dbias is defined, but bias is not");
  CHECK_FAILS(ops::relative_position_bias(zeros({8, 2}), 2),
              "relative_position_bias: table is [8, 2], expected [9, heads] for a window of 2x2");
}

TEST_CASE("pooling says what does not fit", "[errors][max_pool2d][avg_pool2d]") {
  const Tensor x = zeros({1, 20, 20, 1});
  CHECK_FAILS(ops::avg_pool2d(x, {.kernel = 2, .padding = 2}),
              "padding 2x2 is more than half of the kernel 2x2");
  CHECK_FAILS(ops::avg_pool2d(x, {.kernel = 21}),
              "a window of 21 does not fit into an input of 20 with padding 0");
  CHECK_FAILS(ops::max_pool2d(x, {.kernel = 17}), "max_pool2d: a 17x17 window has more than 256 positions");
  CHECK_FAILS(ops::global_avg_pool(zeros({3})), "global_avg_pool: input is [3], expected [N, spatial..., C]");
}

TEST_CASE("losses say which label is wrong", "[errors][softmax_cross_entropy][mse]") {
  const Tensor logits = zeros({3, 10});
  const auto labels = [](std::vector<int64_t> values) {
    return Tensor::of<int64_t>(values, {static_cast<int64_t>(values.size())}, ref);
  };
  CHECK_FAILS(ops::softmax_cross_entropy(logits, labels({0, 9, 10})),
              "softmax_cross_entropy: label 10 of row 2 is outside [0, 10)");
  CHECK_FAILS(ops::softmax_cross_entropy(logits, labels({0, -1, 3})), "label -1 of row 1 is outside [0, 10)");
  CHECK_FAILS(ops::softmax_cross_entropy(logits, labels({0, 1})),
              "target is i64 [2] on ref, expected i64 [3] on ref");
  CHECK_FAILS(ops::softmax_cross_entropy(logits, zeros({3, 9})),
              "target is f32 [3, 9] on ref, expected f32 [3, 10] on ref");
  CHECK_FAILS(ops::softmax_cross_entropy(logits, labels({0, 1, 2}), {.label_smoothing = -0.1}),
              "label smoothing -0.1 is outside [0, 1]");
  CHECK_FAILS(ops::mse(logits, zeros({3, 1})),
              "mse: target is f32 [3, 1] on ref, expected f32 [3, 10] on ref");
  try {
    ops::softmax_cross_entropy(logits, labels({0, 9, 10}));
  } catch (const Error& e) {
    CHECK(e.code() == Exit::data);  // the user's data are wrong, not the program
  }
}

TEST_CASE("arena ops refuse segments that leave the arena", "[errors][sgd_step][clip_multiplier]") {
  const Tensor control = zeros({3}, DType::f64), gradient = zeros({10});
  Tensor parameter = zeros({10}), momentum = zeros({10}), none;
  const auto step = [&](const std::vector<ops::Segment>& segments, Tensor& m, Tensor copy = {}) {
    ops::sgd_step(control, segments, {}, gradient, parameter, m, copy);
  };
  CHECK_FAILS(step({{.begin = 0, .end = 11}}, momentum),
              "sgd_step: segment [0, 11) overlaps the one before it or leaves the arena of 10");
  CHECK_FAILS(step({{.begin = 0, .end = 6}, {.begin = 5, .end = 10}}, momentum), "segment [5, 10) overlaps");
  CHECK_FAILS(step({}, none), "sgd_step: momentum is undefined");
  CHECK_FAILS(step({}, momentum, zeros({9}, DType::bf16)),
              "sgd_step: copy is bf16 [9] on ref, expected bf16 [10] on ref");
  CHECK_FAILS(step({}, momentum, zeros({10}, DType::i64)), "sgd_step: copy is i64");
  Tensor short_control = zeros({2}, DType::f64);
  CHECK_FAILS(ops::clip_multiplier(zeros({1}, DType::f64), 1, short_control),
              "control is f64 [2] on ref, expected f64 [3] on ref");
  CHECK_FAILS(ops::clip_multiplier(zeros({1}, DType::f64), 0, parameter), "clip_multiplier: control is");
}

}  // namespace
}  // namespace trainer::test
