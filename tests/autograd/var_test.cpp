#include "lib/autograd/var.h"

#include "lib/autograd/elementwise.h"
#include "lib/autograd/loss.h"
#include "lib/autograd/matmul.h"
#include "tests/catch.h"

using namespace trainer;

namespace {

constexpr Device ref{Device::Kind::ref, 0};

Tensor values(std::initializer_list<float> v, Shape shape) {
  return Tensor::of<float>(std::span(v.begin(), v.size()), shape, ref);
}

std::vector<float> list(const Tensor& t) {
  const auto s = t.span<float>();
  return {s.begin(), s.end()};
}

/// A scalar whose gradient with respect to x is x itself: mse against zero, times n / 2.
Var half_square(const Var& x) { return autograd::mse(x, Tensor::zeros(x.shape(), DType::f32, ref)); }

Tensor scalar(double v) { return Tensor::full({}, v, DType::f32, ref); }

}  // namespace

TEST_CASE("a value that is used twice gets the sum of both gradients") {
  const Var x(values({1, -2, 3, 4}, {2, 2}), true);
  const Var y = autograd::add(x, autograd::relu(x));
  half_square(y).backward(scalar(2));  // d/dy = y: 2, -2, 6, 8; then through both branches
  CHECK(list(x.grad()) == std::vector<float>{4, -2, 12, 16});
}

TEST_CASE("a tensor shared by two inputs is not overwritten when another gradient arrives") {
  const Var a(values({1, 2}, {1, 2}), true), b(values({3, 4}, {1, 2}), true);
  const Var sum = autograd::add(a, b);     // hands the same dy to a and b
  const Var both = autograd::add(sum, a);  // a gets a second gradient
  half_square(both).backward(scalar(1));
  CHECK(list(a.grad()) == std::vector<float>{10, 16});
  CHECK(list(b.grad()) == std::vector<float>{5, 8});
}

TEST_CASE("gradients accumulate over backward passes until zero_grad") {
  const Var w(values({2}, {1, 1}), true);
  const Var x(values({3}, {1, 1}));
  for (int i = 0; i < 2; ++i) half_square(autograd::linear(x, w)).backward(scalar(1));  // each adds 2 * 6 * 3
  CHECK(list(w.grad()) == std::vector<float>{72});
  w.zero_grad();
  CHECK_FALSE(w.grad().defined());
  half_square(autograd::linear(x, w)).backward(scalar(1));
  CHECK(list(w.grad()) == std::vector<float>{36});
}

TEST_CASE("the first gradient overwrites an arena, later ones add to it") {
  Var w(values({2}, {1, 1}), true);
  Tensor arena = Tensor::full({4}, 1e30, DType::f32, ref);
  w.rebase(w.value(), arena.slice(1, 2).view({1, 1}));
  const Var x(values({3}, {1, 1}));
  half_square(autograd::linear(x, w)).backward();
  CHECK(list(arena)[1] == 36);
  half_square(autograd::linear(x, w)).backward();
  CHECK(list(arena)[1] == 72);
  CHECK(list(arena)[0] == 1e30F);
  CHECK(w.grad().raw() == arena.slice(1, 2).raw());
}

TEST_CASE("nothing is computed for inputs that need no gradient") {
  const Var x(values({1, 2}, {1, 2})), w(values({1, 1}, {1, 2}), true);
  const Var y = autograd::linear(x, w);
  CHECK(y.requires_grad());
  half_square(y).backward();
  CHECK(w.grad().defined());
  CHECK_FALSE(x.requires_grad());
  CHECK_THROWS_AS(x.grad(), Error);
}

TEST_CASE("a bias is trained although its weight is frozen") {
  const Var x(values({1, 2}, {1, 2})), w(values({1, 1}, {1, 2})), b(values({0}, {1}), true);
  half_square(autograd::linear(x, w, b)).backward(scalar(1));
  CHECK(list(b.grad()) == std::vector<float>{6});
}

TEST_CASE("NoGrad records nothing and nests") {
  const Var x(values({1}, {1}), true);
  {
    const NoGrad outer;
    { const NoGrad inner; }
    CHECK_FALSE(autograd::relu(x).requires_grad());
  }
  CHECK(autograd::relu(x).requires_grad());
}

TEST_CASE("misuse of backward is named") {
  const Var x(values({1, 2}, {2}), true);
  CHECK_THROWS_WITH(autograd::relu(x).backward(),
                    ContainsSubstring("backward starts from a value of one element, not from [2]"));
  CHECK_THROWS_WITH(Var(values({1}, {})).backward(),
                    ContainsSubstring("depends on no leaf that requires a gradient"));
  const Var loss = half_square(x);
  loss.backward();
  CHECK_THROWS_WITH(loss.backward(), ContainsSubstring("backward was called on this graph before"));
  CHECK_THROWS_WITH(Var(Tensor::zeros({1}, DType::i64, ref), true),
                    ContainsSubstring("requires_grad needs a floating dtype, not i64"));
}

TEST_CASE("an op that leaves a gradient unwritten is found") {
  const Var x(values({1}, {}), true);
  const Var y = record(x.value().clone(), {&x}, [](Grads&) {});
  CHECK_THROWS_WITH(y.backward(), ContainsSubstring("did not write the gradient of its input 0"));
}

TEST_CASE("a gradient of another shape or dtype than its input's is found") {
  const Var x(values({1, 2}, {2}), true);
  const Var sum = record(values({3}, {}), {&x}, [](Grads& g) { g.pass(0, values({1, 1, 1}, {3})); });
  CHECK_THROWS_WITH(sum.backward(), ContainsSubstring("the gradient of a value f32 [2] is f32 [3] on ref"));
}

TEST_CASE("a listener hears of each tagged leaf once, when its gradient is complete") {
  struct Listener final : GradientListener {
    std::vector<std::pair<int64_t, std::vector<float>>> heard;
    std::vector<Var> leaves;
    void ready(int64_t tag) override {
      heard.emplace_back(tag, list(leaves.at(static_cast<size_t>(tag)).grad()));
    }
  } listener;
  Var a(values({1}, {1}), true), b(values({2}, {1}), true), untagged(values({3}, {1}), true);
  a.rebase(a.value(), Tensor(), 0);
  b.rebase(b.value(), Tensor(), 1);
  listener.leaves = {a, b};
  const Var twice = autograd::add(a, autograd::add(b, untagged));         // 6
  half_square(autograd::add(twice, a)).backward(scalar(0.5), &listener);  // a + (a + b + c) = 7
  CHECK(listener.heard == std::vector<std::pair<int64_t, std::vector<float>>>{{0, {14}}, {1, {7}}});
  CHECK(list(untagged.grad()) == std::vector<float>{7});
}

TEST_CASE("a deep graph is walked and released without recursion") {
  Var x(values({1}, {}), true), y = x;
  for (int i = 0; i < 200'000; ++i) y = autograd::view(y, {});
  y.backward();
  CHECK(list(x.grad()) == std::vector<float>{1});
}

TEST_CASE("saved tensors return to the pool while backward runs, and a repeated step grows no pool") {
  const Var w(Tensor::zeros({64, 64}, DType::f32, ref), true);
  const auto step = [&] {
    w.zero_grad();
    Var h(Tensor::full({32, 64}, 1, DType::f32, ref));
    for (int i = 0; i < 8; ++i) h = autograd::relu(autograd::linear(h, w));
    half_square(h).backward();
  };
  step();
  step();
  const PoolStatistics before = pool_statistics(ref);
  step();
  CHECK(pool_statistics(ref).growths == before.growths);
  CHECK(pool_statistics(ref).in_use == before.in_use);
}

TEST_CASE("flatten puts channels first, as PyTorch flattens, and back") {
  const Var x(values({0, 1, 2, 3, 4, 5, 6, 7}, {1, 2, 2, 2}), true);
  const Var y = autograd::flatten(x);
  CHECK(y.shape() == Shape{1, 8});
  CHECK(list(y.value()) == std::vector<float>{0, 2, 4, 6, 1, 3, 5, 7});
  half_square(y).backward(scalar(4));
  CHECK(list(x.grad()) == list(x.value()));
}

TEST_CASE("flatten copies nothing where one channel or one pixel leaves no order to change") {
  for (const Shape& shape : {Shape{2, 2, 3, 1}, Shape{2, 1, 1, 6}}) {
    const Var x(values({0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}, shape), true);
    const Var y = autograd::flatten(x);
    CHECK(y.shape() == Shape{2, 6});
    CHECK(y.value().raw() == x.value().raw());
    half_square(y).backward(scalar(6));
    CHECK(x.grad().shape() == shape);
    CHECK(list(x.grad()) == list(x.value()));
  }
}

TEST_CASE("linear with a ReLU has the gradients of linear and relu") {
  const auto gradients = [](const auto& apply) {
    const Var x(values({1, -2, 3, 0.5F, 4, -1}, {2, 3}), true),
        w(values({1, 2, -1, 0.5F, -3, 2}, {2, 3}), true), b(values({0.1F, -0.2F}, {2}), true);
    const Var y = apply(x, w, b);
    half_square(y).backward(scalar(4));
    return std::vector{list(y.value()), list(x.grad()), list(w.grad()), list(b.grad())};
  };
  const auto fused = gradients([](const Var& x, const Var& w, const Var& b) {
    return autograd::linear(x, w, b, ops::Activation::relu);
  });
  CHECK(fused == gradients([](const Var& x, const Var& w, const Var& b) {
          return autograd::relu(autograd::linear(x, w, b));
        }));
  CHECK(std::ranges::count(fused[0], 0.F) > 0);
}
