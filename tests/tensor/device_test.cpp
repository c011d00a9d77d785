#include "lib/tensor/device.h"

#include "lib/tensor/kernels.h"
#include "tests/catch.h"

using namespace trainer;

namespace {

struct Double {
  static constexpr std::string_view name = "double";
  using Fn = void(const Tensor& x, Tensor& y);
};

void twice(const Tensor& x, Tensor& y) { y.data<float>()[0] = 2 * x.data<float>()[0]; }

}  // namespace

TEST_CASE("a device's text reads back") {
  for (const char* text : {"cpu", "ref", "cuda:0", "cuda:12"}) CHECK(Device::parse(text).str() == text);
  CHECK(Device::parse("cuda") == Device{Device::Kind::cuda, 0});
  CHECK(Device().str() == "cpu");
  CHECK(Device::parse("ref").is_host());
  CHECK_FALSE(Device::parse("cuda").is_host());
  for (const char* text : {"", "gpu", "CPU", "cuda:", "cuda:-1", "cuda:1x", "cuda:99999999999"}) {
    CHECK_THROWS_WITH(Device::parse(text),
                      ContainsSubstring("unknown device '" + std::string(text) + "' (known: "));
  }
}

TEST_CASE("the host's backends are always there and know the machine") {
  for (const auto kind : {Device::Kind::ref, Device::Kind::cpu}) {
    CHECK(has_backend(kind));
    CHECK(may_have_backend(kind));
    CHECK(backend(kind).count() == 1);
    CHECK(backend(kind).info(0).memory_total > 0);
  }
}

TEST_CASE("a kernel is found by device, one that is missing or set twice is named") {
  Tensor x = Tensor::full({}, 3), y = Tensor::empty({});
  CHECK_THROWS_WITH(Kernels<Double>::on(x.device()), ContainsSubstring("double: no kernel for device cpu"));
  Kernels<Double>::add(Device::Kind::cpu, twice);
  CHECK(Kernels<Double>::has(Device::Kind::cpu));
  CHECK_FALSE(Kernels<Double>::has(Device::Kind::ref));
  Kernels<Double>::on(x.device())(x, y);
  CHECK(y.item() == 6);
  CHECK_THROWS_WITH(Kernels<Double>::add(Device::Kind::cpu, twice),
                    ContainsSubstring("double: two kernels for device cpu"));
  CHECK_THROWS_WITH(throw_unsupported("double", DType::u8, Device{}),
                    ContainsSubstring("double: no u8 kernel on cpu"));
}
