// Deterministic mode: oneDNN's work in pieces. tests/ops runs all cases of all ops in it; here are sizes of
// real layers, and what must not change.
#include <cmath>
#include <functional>
#include <thread>

#include "lib/backend/cpu/pieces.h"
#include "lib/backend/cpu/winograd.h"
#include "lib/ops/conv.h"
#include "lib/ops/matmul.h"
#include "tests/backend_cpu/tensors.h"
#include "tests/backend_cpu/with_threads.h"
#include "tests/catch.h"

namespace trainer::cpu {
namespace {

/// The largest difference relative to the root mean square.
double distance(const Tensor& a, const Tensor& b) {
  const Tensor x = a.to(DType::f32), y = b.to(DType::f32);
  double largest = 0, squares = 0;
  for (int64_t i = 0; i < x.numel(); ++i) {
    largest = std::max(largest, std::abs(double{x.data<float>()[i]} - y.data<float>()[i]));
    squares += double{y.data<float>()[i]} * y.data<float>()[i];
  }
  return largest / std::sqrt(squares / static_cast<double>(x.numel()));
}

struct Layer {
  std::string name;
  std::function<Tensors(DType type, DType gradients)> compute;
};

/// Forward, and all gradients.
Layer conv(const Shape& x, int64_t out, int64_t kernel, const ops::Conv2dArgs& args) {
  return {fmt::format("conv2d of {} to {}, {}x{}", x, out, kernel, kernel), [=](DType type, DType gradients) {
            const Tensor in = normal(x, 1, type), bias = normal({out}, 3),
                         w = normal({out, kernel, kernel, x[3] / args.groups}, 2, type);
            const Tensor y = ops::conv2d(in, w, bias, args), dy = normal(y.shape(), 4, type);
            Tensor dx = Tensor::empty(x, type), dw = Tensor::empty(w.shape(), gradients),
                   dbias = Tensor::empty({out}, gradients);
            ops::conv2d_backward_data(dy, w, args, dx);
            ops::conv2d_backward_weight(dy, in, args, dw, dbias);
            return Tensors{y, dx, dw, dbias};
          }};
}

Layer linear(int64_t rows, int64_t in, int64_t out) {
  return {fmt::format("linear of {} rows, {} to {}", rows, in, out), [=](DType type, DType gradients) {
            const Tensor x = normal({rows, in}, 1, type), w = normal({out, in}, 2, type),
                         bias = normal({out}, 3), dy = normal({rows, out}, 4, type);
            const Tensor y = ops::linear(x, w, bias);
            Tensor dx = Tensor::empty(x.shape(), type), dw = Tensor::empty(w.shape(), gradients),
                   dbias = Tensor::empty({out}, gradients);
            ops::linear_backward_data(dy, w, dx);
            ops::linear_backward_weight(dy, x, dw, dbias);
            return Tensors{y, dx, dw, dbias};
          }};
}

std::vector<Layer> layers() {
  return {
      conv({9, 64, 64, 3}, 64, 7, {.stride = 2, .padding = 3}),
      conv({8, 14, 14, 256}, 512, 1, {}),
      conv({13, 14, 14, 128}, 96, 3, {.stride = 2, .padding = 1}),
      conv({11, 7, 7, 512}, 512, 3, {.padding = 1}),  // filters of 9 MB: few partial gradients
      conv({10, 14, 14, 128}, 128, 3, {.padding = 1, .groups = 32}),
      conv({10, 28, 28, 96}, 96, 3, {.padding = 1, .groups = 96}),
      conv({6, 20, 18, 48}, 64, 3, {.padding = 2, .dilation = 2}),
      conv({1, 40, 40, 32}, 48, 3, {.padding = 1}),
      linear(1379, 192, 576),
      linear(160, 1000, 130),
      linear(7, 600, 2000),
  };
}

}  // namespace

TEST_CASE("pieces depend on the work alone and cover it", "[deterministic]") {
  const WithDeterministic deterministic;
  for (const int64_t n : {1, 2, 7, 32, 100}) {
    for (const double flops : {0.0, 1e6, 3e7, 1e10}) {
      std::vector<std::pair<int64_t, int64_t>> first;
      for (const int n_threads : {1, 2, 3, 5}) {
        const WithThreads threads(n_threads);
        const Pieces pieces(n, flops, 1, 16);
        CHECK(pieces.primitive_threads() == 1);
        std::vector<std::pair<int64_t, int64_t>> all(static_cast<size_t>(pieces.count()));
        pieces.run([&](int64_t i, int64_t begin, int64_t end) { all[i] = {begin, end}; });
        int64_t expected = 0;
        for (const auto& [begin, end] : all) {
          CHECK(begin == expected);
          CHECK((end - begin == pieces.largest() || end - begin == pieces.largest() - 1));
          expected = end;
        }
        CHECK(expected == n);
        if (first.empty()) first = all;
        CHECK(all == first);
      }
      CHECK(first.size() ==
            static_cast<size_t>(flops < 8e6 ? 1 : std::min<int64_t>(n, flops < 1e9 ? 7 : 16)));
    }
  }
}

TEST_CASE("one piece of all threads without deterministic mode", "[deterministic]") {
  const WithThreads threads(3);
  const Pieces pieces(100, 1e10);
  CHECK(pieces.count() == 1);
  CHECK(pieces.largest() == 100);
  CHECK(pieces.primitive_threads() == 3);
}

TEST_CASE("partial results are added in order", "[deterministic]") {
  const WithDeterministic deterministic;
  const Pieces pieces(5, 1e10);
  REQUIRE(pieces.count() == 5);
  std::vector<float> sum(5000);
  const Partials partials(pieces, sum.size() * sizeof(float), sum.data());
  const float values[] = {1e8F, 1, -1e8F, 3, 0.5F};  // rounded otherwise in any other order
  for (int64_t i = 0; i < 5; ++i) std::fill_n(static_cast<float*>(partials[i]), sum.size(), values[i]);
  partials.add();
  CHECK(sum == std::vector<float>(sum.size(), 3.5F));
  CHECK(Partials(pieces, 0, nullptr)[4] == nullptr);
  CHECK(Partials::most(100) == 32);
  CHECK(Partials::most(size_t{3} << 30) == 8);
}

TEST_CASE("layers in deterministic mode: the same bits for any number of threads", "[deterministic]") {
  struct Types {
    DType values, gradients;
    double tolerance;  // f32: as in tests/ops, for sums of 10,000 terms
  };
  set_winograd(OwnLoops::off);  // which does without pieces
  for (const Layer& layer : layers()) {
    for (const auto& [type, gradients, tolerance] :
         {Types{DType::f32, DType::f32, 5e-5}, Types{DType::bf16, DType::f32, 0.05},
          Types{DType::bf16, DType::bf16, 0.05}}) {
      INFO(layer.name << ", " << name_of(type) << ", gradients in " << name_of(gradients));
      const Tensors usual = layer.compute(type, gradients);
      const WithDeterministic deterministic;
      Tensors first;
      for (const int n : {1, 2, 3, 5, 1}) {
        const WithThreads threads(n);
        const Tensors got = layer.compute(type, gradients);
        if (first.empty()) first = got;
        CHECK(same_bits(got, first));
      }
      for (size_t i = 0; i < first.size(); ++i) CHECK(distance(first[i], usual[i]) < tolerance);
    }
  }
  set_winograd(OwnLoops::fast);
}

TEST_CASE("deterministic kernels may run on several threads at once, and take no new memory",
          "[deterministic]") {
  const WithDeterministic deterministic;
  const Layer layer = conv({9, 16, 16, 32}, 48, 3, {.stride = 2, .padding = 1});
  const Tensors expected = layer.compute(DType::f32, DType::f32);
  std::vector<int> differences(3, 0);
  std::vector<std::thread> workers;
  for (int& count : differences) {
    workers.emplace_back([&] {
      for (int repeat = 0; repeat < 5; ++repeat)
        count += !same_bits(layer.compute(DType::f32, DType::f32), expected);
    });
  }
  for (std::thread& w : workers) w.join();
  CHECK(differences == std::vector<int>(3, 0));

  layer.compute(DType::f32, DType::f32);
  const int64_t growths = pool_statistics(Device{}).growths;
  layer.compute(DType::f32, DType::f32);
  CHECK(pool_statistics(Device{}).growths == growths);
}

}  // namespace trainer::cpu
