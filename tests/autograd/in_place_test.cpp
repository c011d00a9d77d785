// Backward functions that write over gradients or take them over: the result is that of the plain graph.
#include <array>

#include "lib/autograd/elementwise.h"
#include "lib/autograd/gelu.h"
#include "lib/autograd/layer_norm.h"
#include "lib/autograd/loss.h"
#include "lib/autograd/matmul.h"
#include "lib/base/rng.h"
#include "tests/catch.h"

using namespace trainer;

namespace {

Tensor random(const Shape& shape, uint64_t index) {
  Tensor t = Tensor::empty(shape);
  for (int64_t i = 0; i < t.numel(); ++i) t.data<float>()[i] = Rng(5).normal(index, static_cast<uint64_t>(i));
  return t;
}

using Leaves = std::array<Var, 4>;  // x, residual, gamma, beta

/// The gradients of the leaves if `graph` gives what is compared with random targets.
template <class Graph>
std::array<Tensor, 4> gradients(const Graph& graph) {
  const Leaves v{Var(random({3, 5, 17}, 0), true), Var(random({3, 5, 17}, 1), true),
                 Var(random({17}, 2), true), Var(random({17}, 3), true)};
  const Var y = graph(v);
  autograd::mse(y, random(y.shape(), 4)).backward();
  return {v[0].grad(), v[1].grad(), v[2].grad(), v[3].grad()};
}

void check_equal(const std::array<Tensor, 4>& got, const std::array<Tensor, 4>& expected) {
  for (size_t i = 0; i < got.size(); ++i) {
    INFO("leaf " << i);
    REQUIRE(got[i].defined() == expected[i].defined());
    if (!got[i].defined()) continue;
    for (int64_t e = 0; e < got[i].numel(); ++e)
      CHECK(got[i].data<float>()[e] == Approx(expected[i].data<float>()[e]).epsilon(1e-5).margin(1e-6));
  }
}

}  // namespace

TEST_CASE("layer norm with its addition: the sum goes on to several readers, and to none") {
  const auto separate = [](const Leaves& v) {
    const Var sum = autograd::add(v[0], v[1]);
    return autograd::AddedAndNormed{sum, autograd::layer_norm(sum, v[2], v[3])};
  };
  const auto together = [](const Leaves& v) { return autograd::add_layer_norm(v[0], v[1], v[2], v[3]); };
  const auto read_twice = [](const autograd::AddedAndNormed& n) {
    return autograd::add(autograd::relu(n.sum), autograd::add(n.y, n.sum));
  };
  check_equal(gradients([&](const Leaves& v) { return read_twice(together(v)); }),
              gradients([&](const Leaves& v) { return read_twice(separate(v)); }));
  check_equal(gradients([&](const Leaves& v) { return together(v).y; }),
              gradients([&](const Leaves& v) { return separate(v).y; }));
}

TEST_CASE("layer norm of a leaf that is read elsewhere as well") {
  const auto graph = [](bool first) {
    return [first](const Leaves& v) {
      const Var before = autograd::relu(v[0]);
      const Var y = autograd::layer_norm(v[0], v[2], v[3]);
      return first ? autograd::add(before, y) : autograd::add(y, autograd::relu(v[0]));
    };
  };
  check_equal(gradients(graph(true)), gradients(graph(false)));
}

TEST_CASE(
    "a linear layer and its GELU in one op: its gradients whether others read that of its output or not") {
  const Tensor w = random({17, 17}, 6);
  const auto graph = [&](bool together, bool shared) {
    return [=](const Leaves& v) {
      const Var weight(w), in = autograd::add(v[0], v[1]);
      const Var y = together ? autograd::linear_gelu(in, weight, v[2])
                             : autograd::gelu(autograd::linear(in, weight, v[2]));
      return shared ? autograd::add(y, autograd::relu(autograd::add(y, v[0]))) : y;
    };
  };
  for (const bool shared : {false, true})
    check_equal(gradients(graph(true, shared)), gradients(graph(false, shared)));
}

TEST_CASE("GELU writes over a gradient only if nobody else reads it") {
  const auto graph = [](bool shared) {
    return [shared](const Leaves& v) {
      const Var y = autograd::gelu(autograd::add(v[0], v[1]));
      const Var twice = autograd::add(y, autograd::gelu(autograd::add(y, v[0])));
      return shared ? autograd::add(twice, v[1]) : autograd::add(v[1], twice);
    };
  };
  check_equal(gradients(graph(true)), gradients(graph(false)));
}
