// Dropout by counter: the bits of Rng (Philox4x32-10), a vector of blocks at a time.
#include <algorithm>
#include <cmath>
#include <cstring>

#include "lib/backend/cpu/any_float.h"
#include "lib/backend/cpu/floats.h"
#include "lib/backend/cpu/parallel.h"
#include "lib/base/rng.h"
#include "lib/ops/elementwise.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "lib/backend/cpu/dropout.cpp"
#include "lib/backend/cpu/simd.h"

HWY_BEFORE_NAMESPACE();
namespace trainer::cpu::HWY_NAMESPACE {
namespace {

/// Words of `count` blocks from `first_block` on, in the order of Rng::bits; writes up to a vector of blocks
/// more than `count`. A 64-bit lane holds one 32-bit word of the state, because the multiplier takes 32-bit
/// factors from 64-bit lanes; what is left in upper halves is ignored by it.
void philox(uint64_t key, uint64_t index, uint64_t first_block, int64_t count, uint32_t* words) {
  const hn::ScalableTag<uint64_t> d;
  const hn::Repartition<uint32_t, decltype(d)> d32;
  const auto product = [&](auto a, auto b)
                           HWY_ATTR { return hn::MulEven(hn::BitCast(d32, a), hn::BitCast(d32, b)); };
  const auto m0 = hn::Set(d, 0xD2511F53), m1 = hn::Set(d, 0xCD9E8D57);
  const auto low = hn::Set(d, 0xFFFFFFFF);
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  for (int64_t b = 0; b < count; b += lanes) {
    const auto block = hn::Add(hn::Set(d, first_block + static_cast<uint64_t>(b)), hn::Iota(d, 0));
    auto c0 = block, c1 = hn::ShiftRight<32>(block);
    auto c2 = hn::Set(d, index), c3 = hn::Set(d, index >> 32);
    auto k0 = static_cast<uint32_t>(key), k1 = static_cast<uint32_t>(key >> 32);
    for (int round = 0; round < 10; ++round) {
      const auto p0 = product(c0, m0), p1 = product(c2, m1);
      c0 = hn::Xor(hn::Xor(hn::ShiftRight<32>(p1), c1), hn::Set(d, k0));
      c2 = hn::Xor(hn::Xor(hn::ShiftRight<32>(p0), c3), hn::Set(d, k1));
      c1 = p1;
      c3 = p0;
      k0 += 0x9E3779B9;
      k1 += 0xBB67AE85;
    }
    const auto first_pair = hn::Or(hn::And(c0, low), hn::ShiftLeft<32>(c1));
    const auto second_pair = hn::Or(hn::And(c2, low), hn::ShiftLeft<32>(c3));
    hn::StoreInterleaved2(first_pair, second_pair, d, reinterpret_cast<uint64_t*>(words + 4 * b));
  }
}

/// y = factor x where words >> 8 >= threshold, else 0.
void mask(const Elements& x, const uint32_t* words, uint32_t threshold, float factor, const Elements& y,
          int64_t n) {
  with_element(x.dtype, [&]<class T>(T) HWY_ATTR {
    for_vectors(0, n, [&](auto d, int64_t i) HWY_ATTR {
      const hn::RebindToSigned<decltype(d)> d_int;
      const hn::RebindToUnsigned<decltype(d)> d_bits;
      const auto u = hn::BitCast(d_int, hn::ShiftRight<8>(hn::LoadU(d_bits, words + i)));
      const auto drop = hn::RebindMask(d, hn::Lt(u, hn::Set(d_int, static_cast<int32_t>(threshold))));
      const auto v = hn::Mul(load(d, x.as<T>() + i), hn::Set(d, factor));
      store(hn::IfThenZeroElse(drop, v), d, y.as<T>() + i);
    });
  });
}

/// y = factor x
void multiply(const Elements& x, float factor, const Elements& y, int64_t n) {
  with_element(x.dtype, [&]<class T>(T) HWY_ATTR {
    for_vectors(0, n, [&](auto d, int64_t i) HWY_ATTR {
      store(hn::Mul(load(d, x.as<T>() + i), hn::Set(d, factor)), d, y.as<T>() + i);
    });
  });
}

}  // namespace
}  // namespace trainer::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace trainer::cpu {
namespace {

HWY_EXPORT(philox);
HWY_EXPORT(mask);
HWY_EXPORT(multiply);

struct Mask {
  uint32_t threshold;  ///< u >= p for u = k 2^-24 is k >= ceil(2^24 p), exactly
  float factor;
  explicit Mask(double p)
      : threshold(static_cast<uint32_t>(std::ceil(p * 0x1.0p24))), factor(static_cast<float>(1 / (1 - p))) {}
};

void drop_elements(const Elements& x, const ops::DropoutArgs& args, const Elements& y, int64_t begin,
                   int64_t end) {
  static constexpr int64_t blocks = 256;
  alignas(64) uint32_t words[4 * blocks + 64];  // 64: philox() finishes its last vector
  const Mask m(args.p);
  while (begin < end) {
    const auto element = static_cast<uint64_t>(args.first + begin);
    const auto skipped = static_cast<int64_t>(element % 4);
    const int64_t n = std::min(end - begin, 4 * blocks - skipped);
    HWY_DYNAMIC_DISPATCH(philox)(args.key, args.index, element / 4, (skipped + n + 3) / 4, words);
    HWY_DYNAMIC_DISPATCH(mask)(x.from(begin), words + skipped, m.threshold, m.factor, y.from(begin), n);
    begin += n;
  }
}

void drop_rows(const Elements& x, const ops::DropoutArgs& args, const Elements& y, int64_t row_size,
               int64_t begin, int64_t end) {
  const Rng rng = Rng::from_key(args.key);
  const Mask m(args.p);
  for (int64_t r = begin; r < end; ++r) {
    const bool keep = rng.bits(args.index, static_cast<uint64_t>(args.first + r)) >> 8 >= m.threshold;
    const Elements to = y.from(r * row_size);
    if (keep) {
      HWY_DYNAMIC_DISPATCH(multiply)(x.from(r * row_size), m.factor, to, row_size);
    } else {
      std::memset(to.data, 0, static_cast<size_t>(row_size) * size_of(to.dtype));
    }
  }
}

void dropout(const Tensor& x, const ops::DropoutArgs& args, Tensor& y) {
  const Elements from(ops::Dropout::name, x), to(ops::Dropout::name, y);
  if (x.numel() == 0) return;
  if (args.per_row) {
    const int64_t rows = x.size(0), row_size = x.numel() / rows;
    parallel_for(rows, chunks_of(elementwise_grain, row_size),
                 [&](int64_t begin, int64_t end) { drop_rows(from, args, to, row_size, begin, end); });
  } else {
    parallel_for(x.numel(), elementwise_grain / 2,
                 [&](int64_t begin, int64_t end) { drop_elements(from, args, to, begin, end); });
  }
}

[[maybe_unused]] const bool added = add_kernel<ops::Dropout, dropout, f32_and_bf16>();

}  // namespace
}  // namespace trainer::cpu
#endif
