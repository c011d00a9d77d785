#include "lib/tensor/tensor.h"

#include <numeric>

#include "tests/catch.h"

using namespace trainer;

namespace {

constexpr Device ref{Device::Kind::ref};

/// 0, 1, 2, ... in f32.
Tensor counting(const Shape& shape, Device device = {}) {
  Tensor t = Tensor::empty(shape, DType::f32, device);
  std::iota(t.span<float>().begin(), t.span<float>().end(), 0.0F);
  return t;
}

template <class T>
std::vector<T> list(const Tensor& t) {
  const auto s = t.span<T>();
  return {s.begin(), s.end()};
}

}  // namespace

TEST_CASE("tensors are made of a shape, a dtype and a device") {
  const Tensor t = Tensor::zeros({2, 3}, DType::i64, ref);
  CHECK(t.shape() == Shape{2, 3});
  CHECK(t.numel() == 6);
  CHECK(t.bytes() == 48);
  CHECK(t.device() == ref);
  CHECK(list<int64_t>(t) == std::vector<int64_t>(6));
  CHECK(list<uint8_t>(Tensor::full({2}, 7, DType::u8)) == std::vector<uint8_t>{7, 7});
  CHECK(Tensor::full({}, 0.5, DType::bf16).item() == 0.5);
  CHECK(describe(t) == "i64 [2, 3] on ref");
  CHECK(describe(Tensor()) == "undefined");
}

TEST_CASE("Tensor::of copies values and wants as many as the shape has") {
  std::vector<int32_t> values{1, 2, 3, 4};
  const Tensor t = Tensor::of<int32_t>(values, {2, 2});
  values[0] = 9;
  CHECK(list<int32_t>(t) == std::vector<int32_t>{1, 2, 3, 4});
  CHECK_THROWS_WITH(Tensor::of<int32_t>(values, {3}),
                    ContainsSubstring("16 bytes do not fill a i32 tensor of shape [3]"));
}

TEST_CASE("copies, views and slices share memory, clones do not") {
  Tensor t = counting({4, 2});
  Tensor copy = t, view = t.view({2, -1}), slice = t.slice(1, 3), clone = t.clone();
  CHECK(view.shape() == Shape{2, 4});
  CHECK(slice.shape() == Shape{2, 2});
  t.data<float>()[2] = 42;
  CHECK(copy.data<float>()[2] == 42);
  CHECK(view.data<float>()[2] == 42);
  CHECK(slice.data<float>()[0] == 42);
  CHECK(clone.data<float>()[2] == 2);
  CHECK(slice.view({4}).slice(3, 4).item() == 5);
}

TEST_CASE("view computes one extent and refuses what does not fit") {
  const Tensor t = counting({4, 3});
  CHECK(t.view({-1}).shape() == Shape{12});
  CHECK(t.view({2, -1, 3}).shape() == Shape{2, 2, 3});
  CHECK(Tensor::empty({0, 3}).view({0, -1}).numel() == 0);
  CHECK_THROWS_WITH(t.view({5}), ContainsSubstring("view: [4, 3] has 12 elements, [5] has 5"));
  CHECK_THROWS_WITH(t.view({5, -1}), ContainsSubstring("view: [4, 3] does not divide into [5, -1]"));
  CHECK_THROWS_WITH(t.view({-1, -1}), ContainsSubstring("only one extent may be -1"));
  CHECK_THROWS_WITH(t.view({0, -1}), ContainsSubstring("does not divide into [0, -1]"));
}

TEST_CASE("slice stays within the first extent") {
  const Tensor t = counting({4, 3});
  CHECK(t.slice(4, 4).numel() == 0);
  CHECK_THROWS_WITH(t.slice(2, 5),
                    ContainsSubstring("slice: [2, 5) is outside of the first extent of [4, 3]"));
  CHECK_THROWS_WITH(t.slice(-1, 2), ContainsSubstring("[-1, 2)"));
  CHECK_THROWS_WITH(t.slice(3, 2), ContainsSubstring("[3, 2)"));
  CHECK_THROWS_WITH(Tensor::zeros({}).slice(0, 0), ContainsSubstring("of []"));
}

TEST_CASE("elements are read as their own type only") {
  const Tensor t = counting({2});
  CHECK_THROWS_WITH(t.data<double>(), ContainsSubstring("data(): the tensor is f32, not f64"));
  CHECK_THROWS_WITH(Tensor().data<float>(), ContainsSubstring("data(): the tensor is undefined"));
  CHECK_THROWS_WITH(t.item(), ContainsSubstring("item() needs a tensor of one element, not [2]"));
  CHECK(Tensor::full({1, 1}, -3, DType::i32).item() == -3);
}

TEST_CASE("to(DType) rounds to nearest, and to(Device) copies only across devices") {
  const Tensor t = Tensor::of<float>(std::vector<float>{1.0F + 0x1.0p-8F, -2.75F, 3}, {3});
  CHECK(t.to(DType::f32).raw() == t.raw());
  CHECK(list<double>(t.to(DType::bf16).to(DType::f64)) == std::vector<double>{1, -2.75, 3});
  CHECK(list<int64_t>(t.to(DType::i64)) == std::vector<int64_t>{1, -2, 3});
  const int64_t large = (int64_t{1} << 53) + 1;  // not a double
  CHECK(list<int64_t>(Tensor::of<int64_t>(std::span(&large, 1), {1}).to(DType::i64)) == std::vector{large});
  CHECK(t.to(Device{}).raw() == t.raw());
  const Tensor moved = t.to(ref);
  CHECK(moved.device() == ref);
  CHECK(moved.raw() != t.raw());
  CHECK(list<float>(moved) == list<float>(t));
}

TEST_CASE("copy_from wants equal shapes and dtypes and writes through a slice") {
  Tensor t = Tensor::zeros({3, 2});
  t.slice(1, 2).copy_from(counting({1, 2}, ref));
  CHECK(list<float>(t) == std::vector<float>{0, 0, 0, 1, 0, 0});
  t.slice(1, 3).zero();
  CHECK(list<float>(t) == std::vector<float>(6));
  CHECK_THROWS_WITH(t.copy_from(counting({2, 3})),
                    ContainsSubstring("f32 [2, 3] on cpu cannot be copied into f32 [3, 2] on cpu"));
  CHECK_THROWS_WITH(t.copy_from(Tensor::zeros({3, 2}, DType::f64)), ContainsSubstring("copy_from: f64"));
}

TEST_CASE("a tensor over a storage lies inside of it") {
  const Storage storage(64, Device{});
  CHECK(Tensor::over(storage, 32, {8}, DType::f32).raw() == storage.data() + 32);
  CHECK_THROWS_WITH(Tensor::over(storage, 36, {8}, DType::f32),
                    ContainsSubstring("f32 [8] at byte 36 does not fit into a storage of 64 bytes"));
  CHECK_THROWS_WITH(Tensor::over(storage, 65, {0}, DType::f32), ContainsSubstring("does not fit"));
  CHECK_THROWS_WITH(Tensor::over(Storage(), 0, {0}, DType::f32), ContainsSubstring("does not fit"));
  // 2^61 elements of 8 bytes: the size in bytes would wrap around to 0.
  CHECK_THROWS_WITH(Tensor::over(storage, 0, {int64_t{1} << 61}, DType::f64),
                    ContainsSubstring("does not fit into memory"));
}

TEST_CASE("a tensor that no memory can hold is an Error that names its size") {
  CHECK_THROWS_WITH(Tensor::empty({int64_t{1} << 61}, DType::f64),
                    ContainsSubstring("does not fit into memory"));
  CHECK_THROWS_AS(Tensor::empty({int64_t{1} << 58}), Error);
  CHECK_THROWS_WITH(Tensor::empty({int64_t{1} << 58}),
                    ContainsSubstring("out of memory: 1152921504606846976 bytes"));
}
