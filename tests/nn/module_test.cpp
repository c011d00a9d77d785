#include "lib/nn/module.h"

#include "lib/autograd/elementwise.h"
#include "lib/nn/layers.h"
#include "tests/catch.h"

using namespace trainer;

namespace {

class Pair final : public nn::Module {
 public:
  Pair() : drop_(0.5) {
    list_.emplace_back(2, 3);
    list_.emplace_back(3, 2);
  }
  Var forward(const Var& x) override { return bn_(list_[1](drop_(list_[0](x)))); }
  void visit(nn::Visitor& v) override { v("list", list_), v("drop", drop_), v("bn", bn_); }

 private:
  std::vector<nn::Linear> list_;
  nn::Dropout drop_;
  nn::BatchNorm bn_{2};
};

std::vector<float> list(const Tensor& t) {
  const auto s = t.span<float>();
  return {s.begin(), s.end()};
}

}  // namespace

TEST_CASE("visit names every parameter and buffer once, in order of use") {
  Pair m;
  std::vector<std::string> names;
  for (const auto& p : nn::parameters(m)) names.push_back(p.name);
  for (const auto& b : nn::buffers(m)) names.push_back(b.name);
  CHECK(names == std::vector<std::string>{"list.0.weight", "list.0.bias", "list.1.weight", "list.1.bias",
                                          "bn.weight", "bn.bias", "bn.running_mean", "bn.running_var",
                                          "bn.num_batches_tracked"});
  CHECK(nn::count_parameters(m) == 6 + 3 + 6 + 2 + 2 + 2);
}

TEST_CASE("attach gives paths and the mode") {
  Pair m;
  nn::Context context{.training = true};
  nn::attach(m, context);
  CHECK(m.training());
  context.training = false;
  CHECK_FALSE(m.training());
  CHECK(m.path().empty());
}

TEST_CASE("initialisation depends on seed and path alone") {
  Pair a, b;
  nn::initialize(a, 1);
  nn::initialize(b, 1);
  CHECK(list(nn::parameters(a)[0].value->var.value()) == list(nn::parameters(b)[0].value->var.value()));
  nn::initialize(b, 2);
  CHECK(list(nn::parameters(a)[0].value->var.value()) != list(nn::parameters(b)[0].value->var.value()));
  const double bound = 1 / std::sqrt(2.0);
  for (const float w : list(nn::parameters(a)[0].value->var.value())) CHECK(std::abs(w) <= bound);
}

TEST_CASE("initial distributions have the moments that they promise") {
  const auto moments = [](const nn::Init& init) {
    Tensor t = Tensor::empty({20'000});
    nn::fill(t, init, Rng(3));
    double mean = 0, square = 0, largest = 0;
    for (const float v : t.span<float>()) {
      mean += v / 20'000.0;
      square += double{v} * v / 20'000.0;
      largest = std::max(largest, std::abs(double{v}));
    }
    return std::array{mean, std::sqrt(square), largest};
  };
  const auto normal = moments(nn::Init::normal(0.3));
  CHECK(std::abs(normal[0]) < 0.01);
  CHECK(normal[1] == Approx(0.3).epsilon(0.03));
  const auto uniform = moments(nn::Init::uniform(0.6));
  CHECK(uniform[1] == Approx(0.6 / std::sqrt(3.0)).epsilon(0.03));
  CHECK(uniform[2] <= 0.6);
  const auto truncated = moments(nn::Init::truncated_normal(1.0));
  CHECK(truncated[2] <= 2.0);
  CHECK(truncated[1] == Approx(0.880).epsilon(0.02));  // standard deviation of N(0, 1) cut at two
  CHECK(moments(nn::Init::truncated_normal(0.02))[1] == Approx(0.02).epsilon(0.03));
}

TEST_CASE("the truncated normal distribution is the distribution function inverted") {
  const Rng rng(11);
  for (const double std : {1.0, 0.02, 5.0}) {
    Tensor t = Tensor::empty({20'000}, DType::f64);
    nn::fill(t, nn::Init::truncated_normal(std), rng);
    const double within = std::erf(2 / (std * std::sqrt(2.0)));
    double worst = 0;
    for (int64_t i = 0; i < t.numel(); ++i) {
      const double u = (rng.bits(0, static_cast<uint64_t>(i)) + 0.5) * 0x1p-32;
      const double back = 0.5 + 0.5 * std::erf(t.data<double>()[i] / std / std::sqrt(2.0)) / within;
      worst = std::max(worst, std::abs(back - u));
    }
    CHECK(worst < 1e-14);
  }
}

TEST_CASE("dropout masks depend on the row in the whole batch, not on how it is cut") {
  nn::Dropout drop(0.5);
  nn::Context context{.training = true, .seed = 7, .step = 3};
  nn::attach(drop, context);
  const Var whole(Tensor::full({8, 5}, 1));
  const std::vector<float> all = list(drop(whole).value());
  context.first_row = 4;
  const std::vector<float> second = list(drop(Var(Tensor::full({4, 5}, 1))).value());
  CHECK(std::equal(second.begin(), second.end(), all.begin() + 20));
  context.step = 4;
  CHECK(list(drop(Var(Tensor::full({4, 5}, 1))).value()) != second);
  context.training = false;
  CHECK(list(drop(whole).value()) == std::vector<float>(40, 1.F));
}

TEST_CASE("drop path keeps or drops whole samples and scales what it keeps") {
  nn::DropPath drop(0.25);
  nn::Context context{.training = true, .seed = 1};
  nn::attach(drop, context);
  const Tensor y = drop(Var(Tensor::full({4000, 3}, 3))).value();
  int64_t kept = 0;
  for (int64_t r = 0; r < 4000; ++r) {
    const float v = y.data<float>()[3 * r];
    CHECK((v == 0 || v == 4));
    CHECK(y.data<float>()[3 * r + 2] == v);
    kept += v != 0;
  }
  CHECK(std::abs(static_cast<double>(kept) / 4000 - 0.75) < 0.03);
}

TEST_CASE("batch norm: running statistics move while training and are used in evaluation") {
  nn::BatchNorm bn(1, {.momentum = 0.5});
  nn::initialize(bn, 0);
  nn::Context context{.training = true};
  nn::attach(bn, context);
  const std::array<float, 4> data{1, 3, 5, 7};
  const Var x(Tensor::of<float>(data, {4, 1}));
  bn(x);
  const auto state = nn::buffers(bn);
  CHECK(state[0].value->value.data<float>()[0] == Approx(2.0));                   // (0 + 4) / 2
  CHECK(state[1].value->value.data<float>()[0] == Approx(0.5 + 0.5 * 20.0 / 3));  // unbiased variance
  CHECK(state[2].value->value.data<int64_t>()[0] == 1);
  context.training = false;
  const double expected = (1 - 2.0) / std::sqrt(0.5 + 10.0 / 3 + 1e-5);
  CHECK(bn(x).value().data<float>()[0] == Approx(expected));
  context.training = true;
  CHECK_THROWS_WITH(bn(Var(Tensor::full({1, 1}, 1))), ContainsSubstring("more than one value per channel"));
}

TEST_CASE("layers refuse what cannot work") {
  CHECK_THROWS_WITH(nn::Conv2d(3, 4, {.groups = 2}), ContainsSubstring("do not divide into 2 groups"));
  CHECK_THROWS_WITH(nn::Dropout(1.0), ContainsSubstring("must lie in [0, 1)"));
}
