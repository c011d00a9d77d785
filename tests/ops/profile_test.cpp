#include "lib/tensor/profile.h"

#include "lib/ops/attention.h"
#include "lib/ops/conv.h"
#include "lib/ops/elementwise.h"
#include "lib/ops/flat.h"
#include "lib/ops/matmul.h"
#include "lib/ops/window_attention.h"
#include "tests/catch.h"

using namespace trainer;

namespace {

template <class F>
std::vector<Profile::Entry> profiled(F&& work) {
  Profile profile;
  profile.start();
  work();
  profile.stop();
  return profile.entries();
}

}  // namespace

TEST_CASE("a profile counts calls, arithmetic and bytes by op and shapes", "[profile]") {
  const Tensor x = Tensor::zeros({2, 6, 5, 4}), w = Tensor::zeros({8, 3, 3, 4}), bias = Tensor::zeros({8});
  const Tensor tokens = Tensor::zeros({7, 4}), matrix = Tensor::zeros({3, 4});
  const auto entries = profiled([&] {
    ops::conv2d(x, w, bias, {.padding = 1});
    ops::conv2d(x, w, bias, {.padding = 1});
    ops::conv2d(x, w, bias, {.stride = 2, .padding = 1});
    ops::linear(tokens, matrix);
  });
  REQUIRE(entries.size() == 3);
  CHECK(entries[0].op == "conv2d");
  CHECK(entries[0].shapes == "2x6x5x4 8x3x3x4 2x6x5x8");
  CHECK(entries[0].dtype == DType::f32);
  CHECK(entries[0].calls == 2);
  CHECK(entries[0].flops == 2 * 2.0 * (2 * 6 * 5 * 8) * (3 * 3 * 4));
  CHECK(entries[0].bytes == 2 * 4.0 * (2 * 6 * 5 * 4 + 8 * 3 * 3 * 4 + 8 + 2 * 6 * 5 * 8));
  CHECK(entries[0].seconds > 0);
  CHECK(entries[1].calls == 1);
  CHECK(entries[1].flops == 2.0 * (2 * 3 * 3 * 8) * (3 * 3 * 4));
  CHECK(entries[2].op == "linear");
  CHECK(entries[2].flops == 2.0 * 7 * 4 * 3);
}

TEST_CASE("a profile counts the products of attention", "[profile]") {
  const Tensor qkv = Tensor::zeros({2, 5, 3, 4, 8});
  const auto entries = profiled([&] {
    const ops::AttentionResult out = ops::attention(qkv);
    Tensor dqkv = Tensor::empty(qkv.shape()), none;
    ops::attention_backward(out.y, qkv, {}, {}, {}, out, dqkv, none);
  });
  REQUIRE(entries.size() == 2);
  constexpr double product = 2.0 * 2 * 4 * 5 * 5 * 8;  // samples, heads, length, length, width
  CHECK(entries[0].flops == Approx(2 * product));
  CHECK(entries[1].flops == Approx(5 * product));
}

TEST_CASE("a profile counts the products of attention in windows", "[profile]") {
  const Tensor qkv = Tensor::zeros({2, 6, 4, 3, 4, 8});
  const auto entries = profiled([&] { ops::window_attention(qkv, {}, {.window = {3, 2}}); });
  REQUIRE(entries.size() == 1);
  CHECK(entries[0].flops ==
        Approx(2 * 2.0 * (2 * 6 * 4) * 4 * 6 * 8));  // products, tokens, heads, length, width
}

TEST_CASE("a profile takes the dtype of what an op computes in", "[profile]") {
  const std::vector<ops::Segment> whole{{0, 3}};
  Tensor control = Tensor::full({ops::Control::size}, 1, DType::f64), p = Tensor::zeros({3}), none;
  const auto entries =
      profiled([&] { ops::sgd_step(control, whole, {.momentum = 0}, p.clone(), p, none, none); });
  REQUIRE(entries.size() == 1);
  CHECK(entries[0].dtype == DType::f32);
}

TEST_CASE("what a kernel calls itself is part of it in a profile", "[profile]") {
  const Tensor x = Tensor::zeros({4, 8}, DType::f16), w = Tensor::zeros({2, 8}, DType::f16);
  const auto entries = profiled([&] { ops::linear(x, w); });  // converted to f32 and back by other ops
  REQUIRE(entries.size() == 1);
  CHECK(entries[0].op == "linear");
}

TEST_CASE("a profile counts while it runs and on its own thread alone", "[profile]") {
  const Tensor x = Tensor::zeros({4});
  Profile profile, second;
  ops::cast(x, DType::bf16);
  profile.start();
  CHECK_THROWS_WITH(second.start(), ContainsSubstring("another one counts on this thread"));
  ops::cast(x, DType::bf16);
  profile.stop();
  ops::cast(x, DType::bf16);
  REQUIRE(profile.entries().size() == 1);
  CHECK(profile.entries()[0].calls == 1);

  profile.start();
  CHECK_THROWS(ops::linear(x.view({1, 4}).to(DType::f64), x.view({1, 4}).to(DType::f64)));  // cpu: no f64
  CHECK(Profile::active() == &profile);
}
