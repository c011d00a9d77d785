// Convolutions and linear layers in a scope of constant weights: the same bits, and each weight is brought into a layout once
// for each direction.
#include "lib/tensor/constant_weights.h"

#include <optional>
#include <thread>

#include "lib/backend/cpu/winograd.h"
#include "lib/ops/conv.h"
#include "lib/ops/matmul.h"
#include "tests/backend_cpu/tensors.h"
#include "tests/backend_cpu/with_threads.h"
#include "tests/catch.h"

namespace trainer::cpu {
namespace {

/// y and dx of a layer [O, K, K, I] or [O, I], over x of some batches.
Tensors compute(const Tensor& w, const std::vector<Shape>& batches) {
  Tensors results;
  for (const Shape& shape : batches) {
    const Tensor x = normal(shape, 1, w.dtype());
    Tensor dx = Tensor::empty_like(x);
    if (w.rank() == 2) {
      results.push_back(ops::linear(x, w, {}));
      ops::linear_backward_data(results.back(), w, dx);
    } else {
      const ops::Conv2dArgs args{.padding = w.size(1) / 2};
      results.push_back(ops::conv2d(x, w, {}, args));
      ops::conv2d_backward_data(results.back(), w, args, dx);
    }
    results.push_back(dx);
  }
  return results;
}

struct Layer {
  Shape w;
  std::vector<Shape> batches;  // the last one is smaller
};

std::vector<Layer> layers() {
  return {{{96, 5, 5, 64}, {{8, 14, 14, 64}, {8, 14, 14, 64}, {3, 14, 14, 64}}},       // direct
          {{128, 1, 1, 96}, {{8, 14, 14, 96}, {8, 14, 14, 96}, {3, 14, 14, 96}}},      // a product
          {{128, 3, 3, 96}, {{16, 14, 14, 96}, {16, 14, 14, 96}, {9, 14, 14, 96}}},    // Winograd's by tiles,
          {{128, 3, 3, 200}, {{8, 12, 12, 200}, {8, 12, 12, 200}, {3, 12, 12, 200}}},  // by panels,
          {{96, 3, 3, 64}, {{16, 14, 14, 64}, {3, 14, 14, 64}, {16, 14, 14, 64}}},     // and by both in turn
          {{300, 200}, {{1000, 200}, {1000, 200}, {600, 200}}}};
}

}  // namespace

TEST_CASE("kept weights change no bit of a layer", "[constant_weights]") {
  set_winograd(OwnLoops::always);
  for (const bool fixed : {false, true}) {
    std::optional<WithDeterministic> deterministic;
    if (fixed) deterministic.emplace();
    for (const Layer& layer : layers()) {
      for (const DType type : {DType::f32, DType::bf16, DType::f16}) {
        INFO(layer.w.str() << ", " << name_of(type) << (fixed ? ", deterministic" : ""));
        Tensor w = normal(layer.w, 2, type);
        const auto expected = compute(w, layer.batches);
        const Storage memory[] = {w.storage()};
        {
          const ConstantWeights constant(memory);
          CHECK(same_bits(compute(w, layer.batches), expected));
          CHECK(same_bits(compute(w, layer.batches), expected));
        }
        w.copy_from(normal(layer.w, 3, type));
        const auto changed = compute(w, layer.batches);
        CHECK_FALSE(same_bits(changed, expected));
        const ConstantWeights constant(memory);
        CHECK(same_bits(compute(w, layer.batches), changed));
      }
    }
  }
  set_winograd(OwnLoops::fast);
}

TEST_CASE("a weight is copied once for each direction, whatever the batch", "[constant_weights]") {
  set_winograd(OwnLoops::always);
  for (const Layer& layer : layers()) {
    INFO(layer.w.str());
    const bool winograd = layer.w.rank() == 4 && layer.w[1] == 3;
    const Tensor w = normal(layer.w, 2);
    const Storage memory[] = {w.storage()};
    const auto copies = [&](const std::vector<Shape>& batches) {
      const int64_t before = ConstantWeights::copies_made();
      compute(w, batches);
      return ConstantWeights::copies_made() - before;
    };
    const std::vector<Shape> first(layer.batches.begin(), layer.batches.begin() + 1);
    const int64_t once = copies(first);
    CHECK(once <= 2);
    if (winograd) CHECK(once == 2);
    CHECK(copies({first[0], first[0], first[0]}) == 3 * once);
    const ConstantWeights constant(memory);
    CHECK(copies({first[0], first[0], first[0]}) == once);
    if (winograd) CHECK(copies(layer.batches) == 0);  // a smaller batch has the same layout
  }
  set_winograd(OwnLoops::fast);
}

TEST_CASE("a scope that threads have to themselves", "[constant_weights]") {
  const Layer layer = layers().front();
  const Tensor w = normal(layer.w, 2);
  const Storage memory[] = {w.storage()};
  const auto expected = compute(w, layer.batches);
  std::vector<int> differences(3, 0);
  std::vector<std::thread> workers;
  for (int& count : differences) {
    workers.emplace_back([&] {
      const ConstantWeights constant(memory);
      for (int repeat = 0; repeat < 3; ++repeat) count += !same_bits(compute(w, layer.batches), expected);
    });
  }
  for (std::thread& t : workers) t.join();
  CHECK(differences == std::vector<int>(3, 0));
}

}  // namespace trainer::cpu
