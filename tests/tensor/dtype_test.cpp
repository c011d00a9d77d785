#include "lib/tensor/dtype.h"

#include <cmath>
#include <limits>

#include "tests/catch.h"

using namespace trainer;

static_assert(dtype_of<float> == DType::f32 && dtype_of<bf16> == DType::bf16 &&
              dtype_of<int64_t> == DType::i64);

namespace {

constexpr DType all[] = {DType::f32, DType::f64, DType::f16, DType::bf16, DType::i32, DType::i64, DType::u8};

template <class T>
uint16_t bits(float f) {
  return T(f).bits;
}

}  // namespace

TEST_CASE("a dtype's name, size and C++ type agree") {
  for (const DType t : all) {
    CAPTURE(name_of(t));
    CHECK(parse_dtype(name_of(t)) == t);
    visit_dtype(t, [&]<class T>(T) {
      CHECK(dtype_of<T> == t);
      CHECK(sizeof(T) == size_of(t));
    });
  }
  CHECK(is_floating(DType::bf16));
  CHECK_FALSE(is_floating(DType::i32));
}

TEST_CASE("parse_dtype takes PyTorch's names and lists the known ones") {
  CHECK(parse_dtype("float32") == DType::f32);
  CHECK(parse_dtype("bfloat16") == DType::bf16);
  CHECK(parse_dtype("half") == DType::f16);
  CHECK(parse_dtype("uint8") == DType::u8);
  CHECK_THROWS_WITH(parse_dtype("F32"), ContainsSubstring("unknown dtype 'F32' (known: f32, f64, f16, bf16"));
}

TEST_CASE("every 16-bit float is itself again after a trip through f32") {
  for (uint32_t i = 0; i <= 0xFFFF; ++i) {
    f16 h;
    h.bits = static_cast<uint16_t>(i);
    bf16 b;
    b.bits = static_cast<uint16_t>(i);
    const auto fh = static_cast<float>(h), fb = static_cast<float>(b);
    if (std::isnan(fh) ? !std::isnan(static_cast<float>(f16(fh))) : f16(fh).bits != i) FAIL("f16 " << i);
    if (std::isnan(fb) ? !std::isnan(static_cast<float>(bf16(fb))) : bf16(fb).bits != i) FAIL("bf16 " << i);
  }
}

TEST_CASE("f16 rounds to nearest even, overflows to infinity and has subnormals") {
  CHECK(bits<f16>(1.0F) == 0x3C00);
  CHECK(bits<f16>(1.0F + 0x1.0p-11F) == 0x3C00);  // halfway: to even
  CHECK(bits<f16>(1.0F + 0x1.8p-10F) == 0x3C02);  // halfway: to even, upwards
  CHECK(bits<f16>(1.0F + 0x1.0p-11F + 0x1.0p-20F) == 0x3C01);
  CHECK(bits<f16>(65504) == 0x7BFF);
  CHECK(bits<f16>(65519.996F) == 0x7BFF);
  CHECK(bits<f16>(65520) == 0x7C00);
  CHECK(bits<f16>(-1e10F) == 0xFC00);
  CHECK(bits<f16>(0x1.0p-24F) == 0x0001);
  CHECK(bits<f16>(0x1.0p-25F) == 0x0000);  // halfway to the smallest
  CHECK(bits<f16>(-0.0F) == 0x8000);
}

TEST_CASE("bf16 rounds to nearest even and keeps NaN") {
  CHECK(bits<bf16>(1.0F) == 0x3F80);
  CHECK(bits<bf16>(1.0F + 0x1.0p-8F) == 0x3F80);  // halfway: to even
  CHECK(bits<bf16>(1.0F + 0x1.8p-7F) == 0x3F82);
  CHECK(bits<bf16>(std::numeric_limits<float>::max()) == 0x7F80);
  CHECK(bits<bf16>(-std::numeric_limits<float>::infinity()) == 0xFF80);
  // A NaN whose payload is in the lower half only must not become infinity.
  CHECK(std::isnan(static_cast<float>(bf16(std::bit_cast<float>(0x7F800001U)))));
  CHECK(std::isnan(static_cast<float>(f16(std::bit_cast<float>(0x7F800001U)))));
}
