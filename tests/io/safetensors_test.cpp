// What well-formed files give, in both directions. Malformed ones: safetensors_malformed_test.cpp.
#include "lib/io/safetensors.h"

#include <cmath>
#include <cstring>
#include <limits>

#include "lib/base/file.h"
#include "tests/error_of.h"
#include "tests/io/safetensors_bytes.h"
#include "tests/temp_folder.h"

using namespace trainer;
using namespace trainer::io;

namespace {

using Named = std::vector<std::pair<std::string, Tensor>>;

Tensor counted(Shape shape, DType dtype) {
  Tensor t = Tensor::empty(shape, dtype);
  for (size_t i = 0; i < t.bytes(); ++i) t.raw()[i] = static_cast<std::byte>(i * 7 + 1);
  return t;
}

void check_equal(const Tensor& a, const Tensor& b) {
  CHECK(a.dtype() == b.dtype());
  CHECK(a.shape() == b.shape());
  REQUIRE(a.bytes() == b.bytes());
  CHECK(std::memcmp(a.raw(), b.raw(), a.bytes()) == 0);
}

}  // namespace

TEST_CASE("safetensors: every dtype, rank 0, no elements and NaN survive a round trip") {
  const TempFolder folder;
  Named written;
  for (const DType dtype :
       {DType::f32, DType::f64, DType::f16, DType::bf16, DType::i32, DType::i64, DType::u8}) {
    const std::string name(name_of(dtype));
    written.emplace_back(name + ".matrix", counted({3, 5}, dtype));
    written.emplace_back(name + ".scalar", counted({}, dtype));
    written.emplace_back(name + ".empty", counted({4, 0, 2}, dtype));
  }
  written.emplace_back("nan", Tensor::full({2}, std::nan(""), DType::f32));
  written.emplace_back("rank 8", counted({1, 2, 1, 2, 1, 2, 1, 3}, DType::u8));
  const std::map<std::string, std::string> metadata{{"format", "pt"},
                                                    {"note", "quote \" and newline \n and é"}};
  write_safetensors(folder / "f", written, metadata, Exit::weights);

  const SafetensorsFile file(folder / "f", Exit::weights);
  CHECK(file.metadata() == metadata);
  CHECK(file.tensors().size() == written.size());
  for (const auto& [name, tensor] : written) {
    INFO(name);
    REQUIRE(file.has(name));
    check_equal(file.tensor(name), tensor);
    CHECK(file.tensor(name).device() == Device{});
  }
  CHECK(std::isnan(file.tensor("nan").data<float>()[1]));
}

TEST_CASE("safetensors: a tensor outlives its file object and writing into it stays in memory") {
  const TempFolder folder;
  write_safetensors(folder / "f", Named{{"x", counted({4}, DType::f32)}}, {}, Exit::weights);
  const std::string before = read_file(folder / "f", Exit::weights);
  Tensor x = SafetensorsFile(folder / "f", Exit::weights).tensor("x");
  check_equal(x, counted({4}, DType::f32));
  x.zero();
  CHECK(x.data<float>()[0] == 0);
  CHECK(read_file(folder / "f", Exit::weights) == before);
}

TEST_CASE("safetensors: nothing is copied") {
  const TempFolder folder;
  write_safetensors(folder / "f", Named{{"x", counted({4}, DType::f32)}, {"y", counted({4}, DType::f32)}}, {},
                    Exit::weights);
  const SafetensorsFile file(folder / "f", Exit::weights);
  CHECK(file.tensor("x").storage().same(file.tensor("y").storage()));
  CHECK(file.tensor("x").raw() == file.tensor("x").raw());
}

TEST_CASE("safetensors: equal content gives equal bytes, whatever the order it is given in") {
  const TempFolder folder;
  const Named one{{"b", counted({2}, DType::f32)},
                  {"a", counted({1}, DType::u8)},
                  {"c", counted({1}, DType::i64)},
                  {"a.b", counted({3}, DType::f32)}};
  const Named other(one.rbegin(), one.rend());
  write_safetensors(folder / "one", one, {{"k", "v"}, {"j", "w"}}, Exit::weights);
  write_safetensors(folder / "other", other, {{"j", "w"}, {"k", "v"}}, Exit::weights);
  const std::string bytes = read_file(folder / "one", Exit::weights);
  CHECK(bytes == read_file(folder / "other", Exit::weights));

  std::vector<std::string> names;
  const SafetensorsFile file(folder / "one", Exit::weights);
  for (const TensorInfo& t : file.tensors()) names.push_back(t.name);
  CHECK(names == std::vector<std::string>{"c", "a.b", "b", "a"});
}

TEST_CASE("safetensors: the bytes of a small file") {
  const TempFolder folder;
  const std::vector<uint8_t> values{1, 2, 3};
  const Named tensors{{"x", Tensor::of<uint8_t>(values, {3, 1})}};
  write_safetensors(folder / "f", tensors, {{"k", "v"}}, Exit::weights);
  const std::string header =
      R"({"__metadata__":{"k":"v"},"x":{"dtype":"U8","shape":[3,1],"data_offsets":[0,3]}})";
  REQUIRE(header.size() == 80);
  CHECK(read_file(folder / "f", Exit::weights) == safetensors_bytes(header, "\1\2\3"));

  write_safetensors(folder / "none", Named{}, {}, Exit::weights);
  CHECK(read_file(folder / "none", Exit::weights) == safetensors_bytes("{}      ", ""));
  CHECK(SafetensorsFile(folder / "none", Exit::weights).tensors().empty());
}

TEST_CASE("safetensors: a payload at an odd address is copied, not read through a bad pointer") {
  const TempFolder folder;
  std::string header = R"({"x":{"dtype":"F64","shape":[2],"data_offsets":[0,16]}})";
  for (int padding = 0; padding < 8; ++padding, header += ' ') {
    const double values[2] = {1.5, -2.5};
    const std::string payload(reinterpret_cast<const char*>(values), sizeof values);
    write_file_atomically(folder / "f", safetensors_bytes(header, payload), Exit::weights);
    const Tensor x = SafetensorsFile(folder / "f", Exit::weights).tensor("x");
    CHECK(reinterpret_cast<uintptr_t>(x.raw()) % alignof(double) == 0);
    CHECK(x.data<double>()[0] == 1.5);
    CHECK(x.data<double>()[1] == -2.5);
  }
}

TEST_CASE("safetensors: dtypes that Tensor lacks can be listed but not read") {
  const TempFolder folder;
  write_file_atomically(folder / "f",
                        safetensors_bytes(R"({"b":{"dtype":"BOOL","shape":[2],"data_offsets":[0,2]},)"
                                          R"("q":{"dtype":"F4","shape":[4],"data_offsets":[2,4]},)"
                                          R"("u":{"dtype":"U64","shape":[],"data_offsets":[4,12]},)"
                                          R"("f8":{"dtype":"F8_E4M3","shape":[1],"data_offsets":[12,13]},)"
                                          R"("x":{"dtype":"U8","shape":[1],"data_offsets":[13,14]}})",
                                          std::string(14, '\1')),
                        Exit::weights);
  const SafetensorsFile file(folder / "f", Exit::weights);
  CHECK(file.info("b").dtype_text == "BOOL");
  CHECK_FALSE(file.info("b").dtype.has_value());
  CHECK(file.info("q").shape == Shape{4});
  CHECK(file.tensor("x").data<uint8_t>()[0] == 1);
  for (const char* name : {"b", "q", "u", "f8"}) {
    CHECK_THAT(error_of([&] { file.tensor(name); }, Exit::weights),
               ContainsSubstring(std::string("tensor '") + name + "': dtype ") &&
                   ContainsSubstring("is not supported"));
  }
}

TEST_CASE("safetensors: a missing tensor is named") {
  const TempFolder folder;
  write_safetensors(folder / "f", Named{{"conv1.weight", counted({1}, DType::f32)}}, {}, Exit::data);
  const SafetensorsFile file(folder / "f", Exit::data);
  CHECK_FALSE(file.has("conv1.bias"));
  CHECK_THAT(error_of([&] { file.tensor("conv1.wieght"); }, Exit::data),
             ContainsSubstring((folder / "f").string() + ": has no tensor 'conv1.wieght'"));
}

TEST_CASE("safetensors: names are any UTF-8, and nothing else") {
  const TempFolder folder;
  const Tensor x = counted({1}, DType::u8);
  const Named odd{{"", x}, {"\"\\\x01/", x}, {"größe", x}};
  write_safetensors(folder / "f", odd, {}, Exit::weights);
  const SafetensorsFile file(folder / "f", Exit::weights);
  for (const auto& [name, tensor] : odd) CHECK(file.has(name));

  CHECK_THROWS_AS(write_safetensors(folder / "g", Named{{"\xff", x}}, {}, Exit::weights), Error);
  CHECK_THROWS_AS(write_safetensors(folder / "g", Named{{"__metadata__", x}}, {}, Exit::weights), Error);
  CHECK_THROWS_AS(write_safetensors(folder / "g", Named{{"x", x}, {"x", x}}, {}, Exit::weights), Error);
  CHECK_THROWS_AS(write_safetensors(folder / "g", Named{{"x", Tensor()}}, {}, Exit::weights), Error);
  CHECK_FALSE(fs::exists(folder / "g"));
}
