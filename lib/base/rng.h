// Counter-based random numbers: Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3",
// SC 2011). A number is a pure function of a key and a counter: the key is a hash of seed, purpose and path,
// the counter is (index, element), an Rng has no state that drawing changes. So order of execution, number of
// threads and prefetching cannot change a result, and a resumed run needs no generator states.
//
//   Rng dropout = Rng(seed).fork("dropout").fork("blocks.3.mlp");
//   float u = dropout.uniform(step, element);
#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

namespace trainer {

/// The function itself, for kernels that draw many numbers at once: 128 bits from 128 bits of counter and 64
/// bits of key.
constexpr std::array<uint32_t, 4> philox4x32(std::array<uint32_t, 4> counter, std::array<uint32_t, 2> key) {
  for (int round = 0; round < 10; ++round) {
    const uint64_t p0 = uint64_t{0xD2511F53} * counter[0];
    const uint64_t p1 = uint64_t{0xCD9E8D57} * counter[2];
    counter = {static_cast<uint32_t>(p1 >> 32) ^ counter[1] ^ key[0], static_cast<uint32_t>(p1),
               static_cast<uint32_t>(p0 >> 32) ^ counter[3] ^ key[1], static_cast<uint32_t>(p0)};
    key = {key[0] + 0x9E3779B9U, key[1] + 0xBB67AE85U};
  }
  return counter;
}

/// The upper 24 bits of a word as a number in [0, 1): exact in f32.
constexpr float unit_float(uint32_t word) { return static_cast<float>(word >> 8) * 0x1.0p-24F; }

/// Two independent standard normal values from two words (Box and Muller, 1958).
std::pair<double, double> box_muller(uint32_t a, uint32_t b);

class Rng {
 public:
  explicit Rng(uint64_t seed = 0);
  /// The generator whose key() is `key`.
  static Rng from_key(uint64_t key) {
    Rng rng;
    rng.key_ = key;
    return rng;
  }

  /// An independent generator for a purpose, a path or an epoch.
  Rng fork(std::string_view name) const;
  Rng fork(uint64_t number) const;

  /// Four 32-bit words: Philox4x32-10 of counter (index, block) under this key.
  std::array<uint32_t, 4> block(uint64_t index, uint64_t block) const {
    return philox4x32({static_cast<uint32_t>(block), static_cast<uint32_t>(block >> 32),
                       static_cast<uint32_t>(index), static_cast<uint32_t>(index >> 32)},
                      {static_cast<uint32_t>(key_), static_cast<uint32_t>(key_ >> 32)});
  }

  /// Word `element` of sequence `index`: word element % 4 of block element / 4.
  uint32_t bits(uint64_t index, uint64_t element) const { return block(index, element / 4)[element % 4]; }
  /// Uniform in [0, 1) with 24 bits.
  float uniform(uint64_t index, uint64_t element) const { return unit_float(bits(index, element)); }
  /// Uniform in [0, bound), bound > 0 (64-bit multiply-shift: the bias is below bound 2^-64).
  uint64_t below(uint64_t bound, uint64_t index, uint64_t element) const;
  /// Standard normal (Box-Muller on two 32-bit words; elements 2k and 2k+1 share their words).
  float normal(uint64_t index, uint64_t element) const;

  /// A permutation of 0..n-1 (Fisher-Yates).
  std::vector<int64_t> permutation(int64_t n) const;

  uint64_t key() const { return key_; }

 private:
  uint64_t key_;
};

}  // namespace trainer
