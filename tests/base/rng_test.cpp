#include "lib/base/rng.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "tests/catch.h"

using namespace trainer;
using Words = std::array<uint32_t, 4>;

TEST_CASE("philox4x32 gives the known answers of the Random123 distribution") {
  constexpr uint32_t ones = 0xFFFFFFFFU;
  CHECK(philox4x32({0, 0, 0, 0}, {0, 0}) == Words{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8});
  CHECK(philox4x32({ones, ones, ones, ones}, {ones, ones}) ==
        Words{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd});
  CHECK(philox4x32({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}) ==
        Words{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1});
}

TEST_CASE("a block is philox4x32 of (block, index) under the key") {
  const Rng rng(7);
  const uint64_t index = 0x1122334455667788, block = 0x99AABBCCDDEEFF00;
  const auto key = rng.key();
  CHECK(rng.block(index, block) ==
        philox4x32({0xDDEEFF00, 0x99AABBCC, 0x55667788, 0x11223344},
                   {static_cast<uint32_t>(key), static_cast<uint32_t>(key >> 32)}));
  for (uint64_t element = 0; element < 12; ++element) {
    CHECK(rng.bits(index, element) == rng.block(index, element / 4)[element % 4]);
  }
}

TEST_CASE("uniform numbers fill 0 to 1 evenly") {
  const Rng rng(1);
  constexpr int draws = 100'000, bins = 64;
  std::array<int, bins> counts{};
  double sum = 0;
  for (int i = 0; i < draws; ++i) {
    const float u = rng.uniform(3, static_cast<uint64_t>(i));
    REQUIRE((u >= 0 && u < 1));
    sum += u;
    ++counts[static_cast<size_t>(u * bins)];
  }
  CHECK(sum / draws == Approx(0.5).margin(5 / std::sqrt(12.0 * draws)));  // five standard errors
  double chi_squared = 0;
  for (const int count : counts) {
    const double expected = double{draws} / bins;
    chi_squared += (count - expected) * (count - expected) / expected;
  }
  CHECK(chi_squared < 115);  // 63 degrees of freedom: p < 1e-4
}

TEST_CASE("normal numbers have the moments of the standard normal") {
  const Rng rng(2);
  constexpr int draws = 100'000;
  double m1 = 0, m2 = 0, m3 = 0, m4 = 0, neighbours = 0, previous = 0;
  for (int i = 0; i < draws; ++i) {
    const double x = rng.normal(0, static_cast<uint64_t>(i));
    REQUIRE(std::isfinite(x));
    m1 += x, m2 += x * x, m3 += x * x * x, m4 += x * x * x * x;
    neighbours += x * previous;
    previous = x;
  }
  const double error = 1 / std::sqrt(double{draws});
  CHECK(m1 / draws == Approx(0).margin(5 * error));
  CHECK(m2 / draws == Approx(1).margin(5 * std::sqrt(2.0) * error));
  CHECK(m3 / draws == Approx(0).margin(5 * std::sqrt(15.0) * error));
  CHECK(m4 / draws == Approx(3).margin(5 * std::sqrt(96.0) * error));
  CHECK(neighbours / draws == Approx(0).margin(5 * error));  // the two halves of a pair are independent
}

TEST_CASE("below stays below its bound and reaches every value") {
  const Rng rng(3);
  for (const uint64_t bound : {1, 2, 3, 7, 10}) {
    std::set<uint64_t> seen;
    for (uint64_t i = 0; i < 500; ++i) seen.insert(rng.below(bound, 0, i));
    CHECK(seen.size() == bound);
    CHECK(*seen.rbegin() == bound - 1);
  }
  const uint64_t huge = 0xFFFFFFFFFFFFFFFFULL;
  uint64_t largest = 0;
  for (uint64_t i = 0; i < 100; ++i) largest = std::max(largest, rng.below(huge, 1, i));
  CHECK(largest > huge / 2);  // all 64 bits are used
}

TEST_CASE("a permutation holds every number once and depends on the key only") {
  const Rng rng = Rng(4).fork("shuffle");
  for (const int64_t n : {0, 1, 2, 1000}) {
    auto p = rng.permutation(n);
    CHECK(p == rng.permutation(n));
    std::sort(p.begin(), p.end());
    for (int64_t i = 0; i < n; ++i) REQUIRE(p[static_cast<size_t>(i)] == i);
  }
  CHECK(rng.permutation(1000) != rng.fork(1).permutation(1000));
}

TEST_CASE("permutations are evenly distributed") {
  std::array<int, 6> counts{};  // of the 3! orders
  constexpr int draws = 12'000;
  for (int i = 0; i < draws; ++i) {
    const auto p = Rng(5).fork(static_cast<uint64_t>(i)).permutation(3);
    ++counts[static_cast<size_t>(p[0] * 2 + (p[1] > p[2] ? 1 : 0))];
  }
  for (const int count : counts) CHECK(std::abs(count - draws / 6) < 205);  // five standard deviations
}

TEST_CASE("forks are independent of each other, of their parent and of the order they are made in") {
  const Rng rng(6);
  CHECK(rng.fork("dropout").key() == rng.fork("dropout").key());
  std::set<uint64_t> keys{rng.key()};
  for (const char* name : {"", "a", "b", "ab", "ba", "dropout", "augment"}) keys.insert(rng.fork(name).key());
  for (uint64_t number = 0; number < 100; ++number) keys.insert(rng.fork(number).key());
  for (uint64_t seed = 100; seed < 200; ++seed) keys.insert(Rng(seed).key());
  CHECK(keys.size() == 1 + 7 + 100 + 100);
  CHECK(rng.fork("a").fork("b").key() != rng.fork("b").fork("a").key());

  const Rng left = rng.fork("left"), right = rng.fork("right");
  double product = 0;
  constexpr int draws = 10'000;
  for (uint64_t i = 0; i < draws; ++i) product += left.normal(0, i) * right.normal(0, i);
  CHECK(product / draws == Approx(0).margin(0.05));
}
