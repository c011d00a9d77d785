// The exponentials of vector loops on every instruction set, by kernels that show them bare.
#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "lib/backend/cpu/attention_loops.h"
#include "lib/ops/loss.h"
#include "tests/backend_cpu/instruction_sets.h"

namespace trainer::cpu {
namespace {

constexpr float infinity = std::numeric_limits<float>::infinity();
constexpr float no_number = std::numeric_limits<float>::quiet_NaN();

/// The largest relative error of f(some x) from exact(x) in [low, high].
template <class F, class Exact>
double worst_error(float low, float high, const F& f, const Exact& exact) {
  constexpr float step = 0.0625F * 1.0009765625F;
  double worst = 0;
  for (float x = low; x < high; x += step * 16) {
    std::vector<float> values;
    for (int i = 0; i < 16; ++i) values.push_back(std::min(high, x + step * static_cast<float>(i)));
    const std::vector<float> got = f(values);
    for (size_t i = 0; i < 16; ++i) worst = std::max(worst, std::abs(got[i] / exact(double{values[i]}) - 1));
  }
  return worst;
}

/// 0, -0, three numbers whose power is 0, NaN.
void check_limits(const std::vector<float>& got) {
  CHECK(got[0] == 1);
  CHECK(got[1] == 1);
  for (size_t i = 2; i < 5; ++i) CHECK(got[i] == 0);
  CHECK(std::isnan(got[5]));
}

/// e^x: the gradients of logits whose log-sum-exp is said to be 0, beside that of the target.
std::vector<float> exponentials(const std::vector<float>& x) {
  const auto n = static_cast<int64_t>(x.size());
  Tensor logits = Tensor::zeros({1, n + 1}), gradients = Tensor::empty({1, n + 1});
  std::ranges::copy(x, logits.span<float>().begin() + 1);
  const Tensor dloss = Tensor::full({}, 1), none = Tensor::zeros({1});
  ops::softmax_cross_entropy_backward(dloss, logits, Tensor::zeros({1}, DType::i64), none, {}, gradients);
  return {gradients.span<float>().begin() + 1, gradients.span<float>().end()};
}

/// 2^x: probabilities of a row of 16 scores whose log-sum-exp is 0.
std::vector<float> powers_of_2(std::vector<float> x) {
  constexpr int64_t length = 16;
  constexpr float ln2 = 0.693147181F;
  const float lse = 0;
  x.resize(length);
  probabilities(x.data(), 1, length, length, ln2, &lse);
  return x;
}

TEST_CASE("the exponential on every instruction set", "[exp]") {
  InstructionSets().each([] {
    CHECK(worst_error(-87, 88, exponentials, [](double x) { return std::exp(x); }) < 1.5e-7);
    check_limits(exponentials({0, -0.0F, -87.01F, -200, -infinity, no_number}));
  });
}

TEST_CASE("powers of 2 on every instruction set", "[exp]") {
  InstructionSets().each([] {
    CHECK(worst_error(-126, 127, powers_of_2, [](double x) { return std::exp2(x); }) < 1.5e-7);
    check_limits(powers_of_2({0, -0.0F, -126.01F, -300, -infinity, no_number}));
  });
}

}  // namespace
}  // namespace trainer::cpu
