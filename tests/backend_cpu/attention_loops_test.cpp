// The loops of attention on every instruction set, where the cases of the op cannot tell them apart.
#include "lib/backend/cpu/attention_loops.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "tests/backend_cpu/instruction_sets.h"

namespace trainer::cpu {
namespace {

/// e^x of up to 16 numbers: probabilities of a row of scores whose log-sum-exp is 0.
std::vector<float> exponentials(std::vector<float> x) {
  constexpr int64_t length = 16;
  const std::vector<float> lse(length);
  x.resize(length * length);
  probabilities(x.data(), length, length, 1, lse.data(), Operand{Elements(nullptr)});
  x.resize(length);
  return x;
}

TEST_CASE("the exponential on every instruction set", "[attention_loops]") {
  constexpr float infinity = std::numeric_limits<float>::infinity();
  InstructionSets().each([] {
    double worst = 0;
    for (float x = -87; x < 88; x += 0.0625F * 1.0009765625F * 16) {
      std::vector<float> values;
      for (int i = 0; i < 16; ++i)
        values.push_back(std::min(88.0F, x + 0.0625F * 1.0009765625F * static_cast<float>(i)));
      const std::vector<float> got = exponentials(values);
      for (size_t i = 0; i < 16; ++i)
        worst = std::max(worst, std::abs(got[i] / std::exp(double{values[i]}) - 1));
    }
    CHECK(worst < 1.5e-7);

    const std::vector<float> got = exponentials({0, -0.0F, -87.01F, -200, -infinity, std::nanf("")});
    CHECK(got[0] == 1);
    CHECK(got[1] == 1);
    CHECK(got[2] == 0);
    CHECK(got[3] == 0);
    CHECK(got[4] == 0);
    CHECK(std::isnan(got[5]));
  });
}

TEST_CASE("padding of probabilities is 0 whatever lies there", "[attention_loops]") {
  InstructionSets().each([] {
    constexpr int64_t length = 5, stride = 16;
    std::vector<float> s(length * stride, 1e30F), lse(length), factors(length);
    for (size_t r = 0; r < length; ++r) std::fill_n(&s[r * stride], length, static_cast<float>(r));
    std::vector<float> p = s, again = s;
    softmax(p.data(), length, stride, 0.5F, Elements(p.data()), factors.data(), lse.data());
    probabilities(again.data(), length, stride, 0.5F, lse.data(), Operand{Elements(nullptr)});
    for (size_t r = 0; r < length; ++r) {
      CHECK(std::abs(factors[r] - 0.2F) < 1e-6);
      for (size_t i = 0; i < stride; ++i) {
        CHECK(p[r * stride + i] == (i < length ? 1.0F : 0.0F));
        CHECK(std::abs(again[r * stride + i] - (i < length ? 0.2F : 0.0F)) < 1e-6);
      }
    }
  });
}

}  // namespace
}  // namespace trainer::cpu
