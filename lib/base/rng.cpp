#include "lib/base/rng.h"

#include <cmath>
#include <numeric>
#include <utility>

namespace trainer {
namespace {

__extension__ using uint128 = unsigned __int128;

/// Finaliser of SplitMix64 (Steele et al., 2014): a bijection that spreads every input bit.
constexpr uint64_t mix(uint64_t z) {
  z += 0x9E3779B97F4A7C15ULL;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ULL;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBULL;
  return z ^ (z >> 31);
}

}  // namespace

Rng::Rng(uint64_t seed) : key_(mix(seed)) {}

Rng Rng::fork(uint64_t number) const {
  Rng child = *this;
  child.key_ = mix(key_ ^ mix(number));
  return child;
}

Rng Rng::fork(std::string_view name) const {
  uint64_t h = 0xCBF29CE484222325ULL;  // FNV-1a
  for (const char c : name) h = (h ^ static_cast<unsigned char>(c)) * 0x100000001B3ULL;
  return fork(h ^ name.size() << 56);
}

uint64_t Rng::below(uint64_t bound, uint64_t index, uint64_t element) const {
  const auto words = block(index, element / 2);
  const auto at = (element % 2) * 2;
  const uint64_t x = uint64_t{words[at + 1]} << 32 | words[at];
  return static_cast<uint64_t>(uint128{x} * bound >> 64);
}

std::pair<double, double> box_muller(uint32_t a, uint32_t b) {
  const double u = (a + 1.0) * 0x1.0p-32;  // (0, 1]: the logarithm is finite
  const double radius = std::sqrt(-2.0 * std::log(u));
  const double angle = 2.0 * 3.14159265358979323846 * (b * 0x1.0p-32);
  return {radius * std::cos(angle), radius * std::sin(angle)};
}

float Rng::normal(uint64_t index, uint64_t element) const {
  const auto words = block(index, element / 4);
  const auto pair = (element % 4) / 2 * 2;
  const auto [first, second] = box_muller(words[pair], words[pair + 1]);
  return static_cast<float>(element % 2 == 0 ? first : second);
}

std::vector<int64_t> Rng::permutation(int64_t n) const {
  std::vector<int64_t> p(static_cast<size_t>(n));
  std::iota(p.begin(), p.end(), 0);
  for (int64_t i = n - 1; i > 0; --i) {
    std::swap(p[i], p[below(static_cast<uint64_t>(i) + 1, 0, static_cast<uint64_t>(i))]);
  }
  return p;
}

}  // namespace trainer
