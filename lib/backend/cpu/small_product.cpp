#include "lib/backend/cpu/small_product.h"

#include <cstring>
#include <utility>

#include "lib/base/error.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "lib/backend/cpu/small_product.cpp"
#include "lib/backend/cpu/simd.h"

HWY_BEFORE_NAMESPACE();
namespace trainer::cpu::HWY_NAMESPACE {
namespace {

struct Arithmetic {
  using Word = float;
  using D = hn::CappedTag<float, 16>;
  using V = hn::Vec<D>;
  static constexpr int kRows = HWY_TARGET <= HWY_AVX3 ? 12 : 6;
  static constexpr int kLanes = static_cast<int>(hn::MaxLanes(D()));
  static HWY_INLINE V zero() { return hn::Zero(D()); }
  static HWY_INLINE V load(const float* p) { return hn::LoadU(D(), p); }
  static HWY_INLINE V broadcast(const float* p) { return hn::Set(D(), *p); }
  static HWY_INLINE V add(V sums, V factor, V row) { return hn::MulAdd(factor, row, sums); }
  static HWY_INLINE V scale(V sums, float factor) { return hn::Mul(sums, hn::Set(D(), factor)); }
  static HWY_INLINE void store(V sums, float* p) { hn::StoreU(sums, D(), p); }
  static HWY_INLINE void store_some(V sums, float* p, int64_t n) {
    hn::BlendedStore(sums, hn::FirstN(D(), static_cast<size_t>(n)), D(), p);
  }
};
#include "lib/backend/cpu/small_product-inl.h"

void multiply_rows(const SmallProduct& p, const float* a, const float* b, const ElementRows& y,
                   const float* factors) {
  multiply_to(p, a, b, ToRows<float>{y.at.as<float>(), y.stride, y.width, factors});
}

void write_rows(const float* from, int64_t stride, const float* factors, int64_t rows,
                const ElementRows& to) {
  with_element(to.at.dtype, [&]<class T>(T) HWY_ATTR {
    T* row = to.at.as<T>();
    for (int64_t r = 0; r < rows; ++r, row += to.stride, from += stride) {
      const float factor = factors == nullptr ? 1 : factors[r];
      for_vectors(0, to.width, [&](auto d, int64_t i) HWY_ATTR {
        store(hn::Mul(hn::LoadU(d, from + i), hn::Set(d, factor)), d, row + i);
      });
    }
  });
}

/// Four rows at a time become vectors of four.
void transpose(const uint32_t* x, int64_t x_stride, int64_t rows, int64_t width, uint32_t* y,
               int64_t y_stride) {
  const hn::CappedTag<uint32_t, 4> d;
  const hn::CappedTag<uint32_t, 1> one;
  const hn::RepartitionToWide<decltype(d)> wide;
  const auto copy = [&](const uint32_t* from, uint32_t* to)
                        HWY_ATTR { hn::StoreU(hn::LoadU(one, from), one, to); };
  int64_t r = 0;
  for (; r + 4 <= rows; r += 4, x += 4 * x_stride) {
    int64_t c = 0;
    for (; c + 4 <= width; c += 4) {
      const auto v0 = hn::LoadU(d, x + c), v1 = hn::LoadU(d, x + x_stride + c),
                 v2 = hn::LoadU(d, x + 2 * x_stride + c), v3 = hn::LoadU(d, x + 3 * x_stride + c);
      const auto low01 = hn::BitCast(wide, hn::InterleaveLower(d, v0, v1)),
                 low23 = hn::BitCast(wide, hn::InterleaveLower(d, v2, v3)),
                 high01 = hn::BitCast(wide, hn::InterleaveUpper(d, v0, v1)),
                 high23 = hn::BitCast(wide, hn::InterleaveUpper(d, v2, v3));
      uint32_t* to = y + c * y_stride + r;
      hn::StoreU(hn::BitCast(d, hn::InterleaveLower(wide, low01, low23)), d, to);
      hn::StoreU(hn::BitCast(d, hn::InterleaveUpper(wide, low01, low23)), d, to + y_stride);
      hn::StoreU(hn::BitCast(d, hn::InterleaveLower(wide, high01, high23)), d, to + 2 * y_stride);
      hn::StoreU(hn::BitCast(d, hn::InterleaveUpper(wide, high01, high23)), d, to + 3 * y_stride);
    }
    for (; c < width; ++c)
      for (int64_t i = 0; i < 4; ++i) copy(x + i * x_stride + c, y + c * y_stride + r + i);
  }
  for (; r < rows; ++r, x += x_stride)
    for (int64_t c = 0; c < width; ++c) copy(x + c, y + c * y_stride + r);
}

void pair_rows(const bf16* x, int64_t x_stride, int64_t rows, int64_t width, Bf16Pair* y, int64_t y_stride) {
  for (int64_t r = 0; r < rows; r += 2, x += 2 * x_stride, y += y_stride) {
    const bf16* second = r + 1 < rows ? x + x_stride : nullptr;
    for_vectors(0, width, [&](auto d, int64_t i) HWY_ATTR {
      const hn::RebindToUnsigned<decltype(d)> words;
      const hn::Rebind<uint16_t, decltype(d)> halves;
      const auto load = [&](const bf16* p) HWY_ATTR {
        return hn::PromoteTo(words, hn::LoadU(halves, reinterpret_cast<const uint16_t*>(p + i)));
      };
      auto both = load(x);
      if (second != nullptr) both = hn::Or(both, hn::ShiftLeft<16>(load(second)));
      hn::StoreU(both, words, y + i);
    });
  }
}

}  // namespace
}  // namespace trainer::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace trainer::cpu {

HWY_EXPORT(multiply);
HWY_EXPORT(multiply_rows);
HWY_EXPORT(write_rows);
HWY_EXPORT(transpose);
HWY_EXPORT(pair_rows);

void multiply(const SmallProduct& p, const float* a, const float* b, float* y, int64_t y_stride) {
  HWY_DYNAMIC_DISPATCH(multiply)(p, a, b, y, y_stride);
}
void multiply(const SmallProduct& p, const float* a, const float* b, const ElementRows& y,
              const float* factors) {
  check(y.at.dtype == DType::f32 && y.width == p.columns, "a product of f32 matrices goes to rows of f32");
  HWY_DYNAMIC_DISPATCH(multiply_rows)(p, a, b, y, factors);
}
void copy_rows(const ElementRows& from, int64_t rows, const ElementRows& to) {
  const auto bytes = static_cast<size_t>(from.width) * size_of(from.at.dtype);
  for (int64_t r = 0; r < rows; ++r) std::memcpy(to.from(r).at.data, from.from(r).at.data, bytes);
}
void clear_rows(const ElementRows& x, int64_t rows) {
  const auto bytes = static_cast<size_t>(x.width) * size_of(x.at.dtype);
  for (int64_t r = 0; r < rows; ++r) std::memset(x.from(r).at.data, 0, bytes);
}
void write_rows(const float* from, int64_t stride, const float* factors, int64_t rows,
                const ElementRows& to) {
  HWY_DYNAMIC_DISPATCH(write_rows)(from, stride, factors, rows, to);
}
void prefetch_rows(const ElementRows& x, int64_t rows) {
  static constexpr int64_t line_bytes = 64;
  static constexpr int second_level = 2;
  const int64_t bytes = x.width * static_cast<int64_t>(size_of(x.at.dtype));
  for (int64_t r = 0; r < rows; ++r) {
    const auto* row = x.from(r).at.as<const std::byte>();
    for (int64_t i = 0; i < bytes; i += line_bytes) __builtin_prefetch(row + i, 0, second_level);
  }
}
void transpose(const uint32_t* x, int64_t x_stride, int64_t rows, int64_t width, uint32_t* y,
               int64_t y_stride) {
  HWY_DYNAMIC_DISPATCH(transpose)(x, x_stride, rows, width, y, y_stride);
}
void pair_rows(const bf16* x, int64_t x_stride, int64_t rows, int64_t width, Bf16Pair* y, int64_t y_stride) {
  HWY_DYNAMIC_DISPATCH(pair_rows)(x, x_stride, rows, width, y, y_stride);
}

}  // namespace trainer::cpu
#endif
