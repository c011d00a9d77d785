#include "lib/nn/precision.h"

#include "lib/nn/layers.h"
#include "tests/catch.h"

using namespace trainer;
using nn::Precision;
using nn::Role;
using Level = Precision::Level;

namespace {

constexpr Device cpu{}, cuda{Device::Kind::cuda, 0};

nn::Parameter of(Role role) { return {{2}, nn::Init::constant(1.001), nn::Layout::plain, role}; }

class Layers final : public nn::Module {
 public:
  Var forward(const Var& x) override { return norm_(linear_(x)); }
  void visit(nn::Visitor& v) override { v("linear", linear_), v("norm", norm_); }

 private:
  nn::Linear linear_{3, 4};
  nn::BatchNorm norm_{4};
};

}  // namespace

TEST_CASE("precision: keys name a type and a level") {
  CHECK_FALSE(nn::parse_precision(true, "", "auto", cpu).mixed());
  CHECK(nn::parse_precision(true, "", "auto", cuda).compute == DType::f16);
  CHECK(nn::parse_precision(true, "", "bf16", cpu).compute == DType::bf16);
  CHECK(nn::parse_precision(true, "", "bf16", cpu).level == Level::O1);
  CHECK(nn::parse_precision(true, "O2", "f16", cpu).level == Level::O2);
  CHECK_FALSE(nn::parse_precision(true, "O0", "bf16", cuda).mixed());
  CHECK_FALSE(nn::parse_precision(false, "O2", "bf16", cuda).mixed());
  CHECK_THROWS_WITH(nn::parse_precision(true, "O4", "auto", cpu), ContainsSubstring("O4"));
  CHECK_THROWS_WITH(nn::parse_precision(true, "", "f64", cpu), ContainsSubstring("f64"));
}

TEST_CASE("precision: which parameters have 16 bits") {
  const auto types = [](Level level) {
    const Precision p{DType::bf16, level};
    return std::vector{p.type_of(of(Role::product)), p.type_of(of(Role::other)), p.type_of(of(Role::norm))};
  };
  CHECK(types(Level::O1) == std::vector{DType::bf16, DType::f32, DType::f32});
  CHECK(types(Level::O2) == std::vector{DType::bf16, DType::bf16, DType::f32});
  CHECK(types(Level::O3) == std::vector{DType::bf16, DType::bf16, DType::f32});
  CHECK(Precision{}.type_of(of(Role::product)) == DType::f32);
  CHECK(Precision{DType::f16, Level::O1}.scales_loss());
  CHECK_FALSE(Precision{DType::f16, Level::O3}.scales_loss());
  CHECK_FALSE(Precision{DType::bf16, Level::O1}.scales_loss());
  CHECK(Precision{}.str() == "f32");
  CHECK(Precision{DType::bf16, Level::O2}.str() == "bf16 (O2)");
}

TEST_CASE("precision: activations follow the weights, values stay as they were") {
  Layers model;
  nn::initialize(model, 3);
  const Var x(Tensor::full({5, 3}, 0.5));
  const NoGrad no_grad;
  const Tensor exact = model(x).value();
  std::vector<Tensor> values;
  for (const auto& [name, p] : nn::parameters(model)) values.push_back(p->value().clone());

  nn::set_precision(model, {DType::bf16, Level::O1});
  const Tensor rounded = model(x).value();
  CHECK(rounded.dtype() == DType::bf16);
  for (int64_t i = 0; i < exact.numel(); ++i) {
    const double difference = double{exact.data<float>()[i]} - static_cast<float>(rounded.data<bf16>()[i]);
    CHECK(std::abs(difference) < 0.02);
  }
  size_t i = 0;
  for (const auto& [name, p] : nn::parameters(model)) {
    INFO(name);
    CHECK(p->var.value().dtype() == (name == "linear.weight" ? DType::bf16 : DType::f32));
    CHECK(p->value().dtype() == DType::f32);
    CHECK(std::ranges::equal(p->value().span<float>(), values[i++].span<float>()));
  }

  nn::set_precision(model, {});
  CHECK(std::ranges::equal(model(x).value().span<float>(), exact.span<float>()));
}

TEST_CASE("precision: a model is moved before it gets 16-bit copies, not after") {
  Layers model;
  nn::initialize(model, 3);
  nn::move_to(model, cpu);
  nn::set_precision(model, {DType::bf16, Level::O1});
  CHECK_THROWS_WITH(nn::move_to(model, cpu), ContainsSubstring("linear.weight has a 16-bit copy"));
  nn::set_precision(model, {});
  nn::move_to(model, cpu);
}
