// The loops of attention on every instruction set, where the cases of the op cannot tell them apart.
#include "lib/backend/cpu/attention_loops.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "tests/backend_cpu/instruction_sets.h"

namespace trainer::cpu {
namespace {

TEST_CASE("padding of probabilities is 0 whatever lies there", "[attention_loops]") {
  InstructionSets().each([] {
    constexpr int64_t length = 5, stride = 16;
    std::vector<float> s(length * stride, 1e30F), lse(length), factors(length);
    for (size_t r = 0; r < length; ++r) std::fill_n(&s[r * stride], length, static_cast<float>(r));
    std::vector<float> p = s, again = s;
    softmax(p.data(), length, length, stride, 0.5F, factors.data(), lse.data());
    probabilities(again.data(), length, length, stride, 0.5F, lse.data());
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
