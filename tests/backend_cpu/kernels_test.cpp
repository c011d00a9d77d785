// What the CPU kernels promise beyond the values that tests/ops compares with ref.
#include <functional>
#include <thread>
#include <vector>

#include "lib/backend/cpu/primitive_cache.h"
#include "lib/base/rng.h"
#include "lib/ops/attention.h"
#include "lib/ops/conv.h"
#include "lib/ops/elementwise.h"
#include "lib/ops/flat.h"
#include "lib/ops/layer_norm.h"
#include "lib/ops/layerwise.h"
#include "lib/ops/loss.h"
#include "lib/ops/matmul.h"
#include "lib/ops/norm.h"
#include "lib/ops/relative_position.h"
#include "lib/ops/tokens.h"
#include "lib/ops/window_attention.h"
#include "tests/backend_cpu/tensors.h"
#include "tests/backend_cpu/with_threads.h"
#include "tests/catch.h"

namespace trainer::cpu {
namespace {

/// normal() with a mean of its own.
Tensor around(float mean, const Shape& shape, uint64_t purpose) {
  Tensor t = normal(shape, purpose);
  for (float& v : t.span<float>()) v += mean;
  return t;
}

Tensors batch_norm(const Tensor& x) {
  const auto moments = ops::batch_norm_statistics(x);
  Tensor dgamma = Tensor::empty(moments.mean.shape()), dbeta = Tensor::empty(moments.mean.shape());
  ops::batch_norm_backward_reduce(normal(x.shape(), 2), x, {}, moments, {}, dgamma, dbeta);
  return {moments.mean, moments.var, dgamma, dbeta};
}

Tensors bias_gradient(const Tensor& x) {
  const Tensor dy = normal({x.size(0), 5}, 3);
  Tensor dw = Tensor::empty({5, x.size(1)}), dbias = Tensor::empty({5});
  ops::linear_backward_weight(dy, x, dw, dbias);
  return {dbias};
}

Tensors losses(const Tensor& x) {
  const Tensor labels = Tensor::zeros({x.size(0)}, DType::i64);
  return {ops::mse(x, normal(x.shape(), 4)), ops::softmax_cross_entropy(x, labels).loss};
}

/// Norms by row (as of units), of a few long tensors, and of both with gaps.
Tensors segment_norms(const Tensor& x) {
  const Tensor arena = x.view({x.numel()});
  const int64_t columns = x.size(1), n = x.numel();
  std::vector<ops::Segment> rows, tensors{{0, 3}, {3, 3}, {5, n / 2}, {n / 2, n - 1}};
  for (int64_t r = 0; r < x.size(0); ++r) rows.push_back({r * columns, (r + 1) * columns - r % 2});
  const std::vector<ops::Segment> whole{{0, n}};
  return {ops::segment_squares(rows, arena), ops::segment_squares(tensors, arena),
          ops::segment_squares(whole, arena)};
}

Tensors layer_norm(const Tensor& x) {
  const Tensor gamma = normal({x.size(1)}, 7), dy = normal(x.shape(), 8);
  const ops::LayerNormResult f = ops::layer_norm(x, dy, gamma, gamma);
  Tensor dx = Tensor::empty(x.shape()), dgamma = Tensor::empty(gamma.shape()),
         dbeta = Tensor::empty(gamma.shape());
  ops::layer_norm_backward(dy, f, gamma, {}, dx, dgamma, dbeta);
  return {f.y, f.mean, f.rstd, dx, dgamma, dbeta};
}

/// 30 sequences of 11 tokens, with a bias whose gradient is a sum over all of them; and their embedding.
Tensors attend() {
  const Tensor qkv = normal({30, 11, 3, 2, 24}, 9), bias = normal({2, 11, 11}, 10);
  const ops::AttentionResult f = ops::attention(qkv, bias);
  const Tensor dy = normal(f.y.shape(), 11);
  Tensor dqkv = Tensor::empty(qkv.shape()), dbias = Tensor::empty(bias.shape());
  ops::attention_backward(dy, qkv, bias, {}, {}, f, dqkv, dbias);
  Tensor none, first = Tensor::empty({1, 1, 48}), position = Tensor::empty({1, 11, 48});
  ops::embed_tokens_backward(dy.view({30, 11, 48}), 1, none, first, position);
  return {f.y, f.lse, dqkv, dbias, first, position};
}

/// 8 windows, with gradients that are sums over all of them.
Tensors attend_in_windows() {
  const Tensor qkv = normal({2, 6, 8, 3, 2, 16}, 12), table = normal({35, 2}, 13);
  const ops::WindowAttentionArgs args{.window = {3, 4}, .shift = {1, 2}};
  const Tensor bias = ops::relative_position_bias(table, args.window);
  const ops::WindowAttentionResult f = ops::window_attention(qkv, bias, args);
  Tensor dqkv = Tensor::empty(qkv.shape()), dbias = Tensor::empty(bias.shape()),
         dtable = Tensor::empty(table.shape());
  ops::window_attention_backward(normal(f.y.shape(), 14), qkv, bias, args, f, dqkv, dbias);
  ops::relative_position_bias_backward(dbias, args.window, dtable);
  return {f.y, f.lse, dqkv, dbias, dtable};
}

Tensors convolve(const Tensor& x) {
  const Tensor w = normal({24, 3, 3, x.size(3)}, 5), dy = normal(x.shape().with(3, 24), 6);
  Tensor y = ops::conv2d(x, w, {}, {.padding = 1});
  Tensor dx = Tensor::empty(x.shape()), dw = Tensor::empty(w.shape()), dbias = Tensor::empty({24});
  ops::conv2d_backward_data(dy, w, {.padding = 1}, dx);
  ops::conv2d_backward_weight(dy, x, {.padding = 1}, dw, dbias);
  return {y, dx, dw, dbias};
}

}  // namespace

TEST_CASE("sums do not depend on the number of threads", "[backend_cpu]") {
  const auto check_threads = [](const std::function<Tensors()>& compute) {
    Tensors expected;
    for (const int n : {1, 2, 3, 4}) {
      const WithThreads scope(n);
      const Tensors got = compute();
      if (expected.empty()) expected = got;
      for (size_t i = 0; i < got.size(); ++i) CHECK(same_bits(got[i], expected[i]));
    }
  };
  for (const Shape& shape : {Shape{6000, 64}, Shape{5001, 10}, Shape{700, 2048}, Shape{3, 300001}}) {
    INFO(shape.str());
    const Tensor x = around(3, shape, 1);
    check_threads([&] { return batch_norm(x); });
    check_threads([&] { return bias_gradient(x); });
    check_threads([&] { return losses(x); });
    check_threads([&] { return segment_norms(x); });
    check_threads([&] { return layer_norm(x); });
  }
  check_threads(attend);
  check_threads(attend_in_windows);
}

TEST_CASE("batch norm statistics do not cancel", "[backend_cpu]") {
  static constexpr int64_t rows = 40000;
  const Tensor x = around(4096, {rows, 7}, 9);  // E[x^2] - E[x]^2 in f32 has no correct digit here
  const auto [mean, var] = ops::batch_norm_statistics(x);
  for (int64_t c = 0; c < 7; ++c) {
    double exact_mean = 0, exact_var = 0;
    for (int64_t r = 0; r < rows; ++r) exact_mean += x.data<float>()[r * 7 + c] / double{rows};
    for (int64_t r = 0; r < rows; ++r) {
      const double d = x.data<float>()[r * 7 + c] - exact_mean;
      exact_var += d * d / double{rows};
    }
    CHECK(mean.data<float>()[c] == Approx(exact_mean).epsilon(1e-7));
    CHECK(var.data<float>()[c] == Approx(exact_var).epsilon(1e-6));
  }
}

TEST_CASE("batch norm of a map that no cache holds is that of its parts", "[backend_cpu]") {
  const int64_t rows = 70000, half = rows / 2;  // 18 MB of f32: stored past the caches
  for (const DType dtype : {DType::f32, DType::bf16}) {
    const int64_t columns = dtype == DType::f32 ? 64 : 128;
    const Tensor x = normal({rows, columns}, 1).to(dtype), residual = normal({rows, columns}, 2).to(dtype);
    const Tensor gamma = normal({columns}, 3), beta = normal({columns}, 4);
    const ops::Moments moments{normal({columns}, 5), Tensor::full({columns}, 1.5)};
    const ops::BatchNormArgs args{.activation = ops::Activation::relu};
    struct Results {
      Tensor y, dx, dresidual;
    };
    const auto compute = [&](int64_t begin, int64_t end) {
      const Tensor part = x.slice(begin, end);
      const Tensor y = ops::batch_norm_apply(part, moments, gamma, beta, residual.slice(begin, end), args);
      Results r{y, Tensor::empty(part.shape(), dtype), Tensor::empty(part.shape(), dtype)};
      ops::batch_norm_backward_apply(residual.slice(begin, end), part, y, moments, gamma, beta, gamma, 10,
                                     args, r.dx, r.dresidual);
      return r;
    };
    const Results whole = compute(0, rows), upper = compute(0, half), lower = compute(half, rows);
    for (const auto result : {&Results::y, &Results::dx, &Results::dresidual}) {
      CHECK(same_bits((whole.*result).slice(0, half), upper.*result));
      CHECK(same_bits((whole.*result).slice(half, rows), lower.*result));
    }
  }
}

TEST_CASE("kernels may run on several threads at once", "[backend_cpu]") {
  const Tensor x = normal({8, 12, 12, 16}, 1);
  const Tensors expected = convolve(x);
  std::vector<int> differences(4, 0);
  std::vector<std::thread> workers;
  for (int& count : differences) {
    workers.emplace_back([&] {
      for (int repeat = 0; repeat < 20; ++repeat) {
        const Tensors got = convolve(x);
        for (size_t i = 0; i < got.size(); ++i) count += !same_bits(got[i], expected[i]);
      }
    });
  }
  for (std::thread& w : workers) w.join();
  CHECK(differences == std::vector<int>(4, 0));
}

TEST_CASE("a shape's second run takes no new memory", "[backend_cpu]") {
  const Tensor x = normal({8, 12, 12, 16}, 1), table = normal({700, 40}, 2);
  const auto run = [&] {
    convolve(x);
    batch_norm(x);
    bias_gradient(table);
    losses(table);
    attend();
    attend_in_windows();
  };
  run();
  run();
  const int64_t growths = pool_statistics(Device{}).growths;
  run();
  CHECK(pool_statistics(Device{}).growths == growths);
}

TEST_CASE("the primitive cache makes a value once per key and thread", "[backend_cpu]") {
  struct Value {
    int number;
  };
  int made = 0;
  const auto get = [&](const Key& key) -> Value& {
    return cached<Value>(key, [&] { return Value{++made}; });
  };
  Value* first = &get({1, 2});
  CHECK(&get({1, 2}) == first);
  CHECK(get({2, 1}).number == 2);
  CHECK(get({1, 2, 3}).number == 3);
  CHECK(&get({1, 2}) == first);
  std::thread([&] { CHECK(&get({1, 2}) != first); }).join();
  CHECK(made == 4);
}

TEST_CASE("dropout of a part is that part of dropout of the whole", "[backend_cpu]") {
  const Tensor x = Tensor::full({5003}, 1);
  const ops::DropoutArgs args{
      .p = 0.3, .key = Rng(1).key(), .index = (uint64_t{7} << 32) + 5, .first = (int64_t{1} << 33) + 3};
  const Tensor whole = ops::dropout(x, args);
  const Rng rng = Rng::from_key(args.key);
  for (int64_t i = 0; i < x.numel(); ++i) {
    const bool keep = rng.uniform(args.index, static_cast<uint64_t>(args.first + i)) >= args.p;
    REQUIRE((whole.data<float>()[i] != 0) == keep);
  }
  for (const int64_t begin : {1, 2, 3, 4, 1030}) {
    ops::DropoutArgs part = args;
    part.first += begin;
    CHECK(same_bits(ops::dropout(x.slice(begin, 5003), part), whole.slice(begin, 5003)));
  }
}

TEST_CASE("a dtype without a kernel is an error that names it", "[backend_cpu]") {
  const Tensor x = Tensor::zeros({1, 4, 4, 8}, DType::f64), w = Tensor::zeros({8, 3, 3, 8}, DType::f64);
  CHECK_THROWS_WITH(ops::conv2d(x, w), ContainsSubstring("conv2d") && ContainsSubstring("f64"));
  CHECK_THROWS_WITH(ops::activate(x, ops::Activation::relu),
                    ContainsSubstring("activate") && ContainsSubstring("f64"));
}

}  // namespace trainer::cpu
