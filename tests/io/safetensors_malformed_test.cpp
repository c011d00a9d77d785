// Files from outside: whatever they hold, the answer is an Error that names the cause, never a crash or a
// large allocation.
#include <sys/mman.h>
#include <unistd.h>

#include <cstring>
#include <fstream>
#include <random>

#include "lib/base/file.h"
#include "lib/base/system.h"
#include "lib/io/safetensors.h"
#include "tests/catch.h"
#include "tests/io/safetensors_bytes.h"
#include "tests/temp_folder.h"

using namespace trainer;
using namespace trainer::io;
using namespace std::string_view_literals;

namespace {

void put(const fs::path& path, std::string_view bytes) { std::ofstream(path, std::ios::binary) << bytes; }

/// The message that reading a file of these bytes gives; "" if it is accepted.
std::string refusal(const std::string& bytes) {
  const TempFolder folder;
  const fs::path path = folder / "f.safetensors";
  put(path, bytes);
  try {
    const SafetensorsFile file(path, Exit::weights);
    return "";
  } catch (const Error& e) {
    CHECK(e.code() == Exit::weights);
    const std::string what = e.what(), prefix = path.string() + ": ";
    CHECK(what.starts_with(prefix));
    return what.substr(std::min(prefix.size(), what.size()));
  }
}

std::string refusal(std::string_view header, size_t payload) {
  return refusal(safetensors_bytes(header, std::string(payload, '\0')));
}

/// A header with one tensor of these fields.
std::string one(const std::string& fields) { return R"({"x":{)" + fields + "}}"; }

std::string small_file() {
  return safetensors_bytes(
      R"({"__metadata__":{"k":"v"},"a":{"dtype":"F32","shape":[2,2],"data_offsets":[0,16]},)"
      R"("e":{"dtype":"F32","shape":[0],"data_offsets":[16,16]},)"
      R"("b":{"dtype":"U8","shape":[],"data_offsets":[16,17]}})",
      std::string(17, '\x40'));
}

}  // namespace

TEST_CASE("safetensors: a file cut at any byte is refused") {
  const std::string whole = small_file();
  REQUIRE(refusal(whole).empty());
  for (size_t size = 0; size < whole.size(); ++size) {
    INFO(size);
    CHECK_FALSE(refusal(whole.substr(0, size)).empty());
  }
  CHECK(refusal(whole + '\0') == "1 bytes after the last tensor");
}

TEST_CASE("safetensors: absurd header lengths are refused without allocating") {
  const int64_t before = peak_memory_bytes();
  const std::string header = "{}      ";
  CHECK_THAT(refusal(safetensors_bytes(uint64_t{1} << 63, header, "")),
             ContainsSubstring("header of 9223372036854775808"));
  CHECK_THAT(refusal(safetensors_bytes(UINT64_MAX, header, "")),
             ContainsSubstring("header of 18446744073709551615"));
  CHECK_THAT(refusal(safetensors_bytes(100'000'001, header, "")),
             ContainsSubstring("longer than the 100000000 allowed"));
  CHECK_THAT(refusal(safetensors_bytes(100'000'000, header, "")), ContainsSubstring("truncated"));
  CHECK_THAT(refusal(safetensors_bytes(header.size() + 1, header, "")), ContainsSubstring("truncated"));
  CHECK(peak_memory_bytes() - before < 16 << 20);

  const TempFolder folder;  // long enough, but over the limit
  put(folder / "sparse", safetensors_bytes(100'000'001, "{", ""));
  fs::resize_file(folder / "sparse", 200'000'000);
  CHECK_THROWS_AS(SafetensorsFile(folder / "sparse", Exit::weights), Error);
  CHECK(peak_memory_bytes() - before < 16 << 20);
}

TEST_CASE("safetensors: a header that is not a JSON object is refused") {
  CHECK_THAT(refusal(""), ContainsSubstring("only 0 bytes long"));
  CHECK_THAT(refusal(safetensors_bytes("", "")), ContainsSubstring("does not begin with '{'"));
  CHECK_THAT(refusal(" {}", 0), ContainsSubstring("does not begin with '{'"));
  CHECK_THAT(refusal("\xef\xbb\xbf{}", 0), ContainsSubstring("does not begin with '{'"));
  CHECK_THAT(refusal("[]", 0), ContainsSubstring("does not begin with '{'"));
  CHECK_THAT(refusal("{", 0), ContainsSubstring("not valid JSON"));
  CHECK_THAT(refusal("{}{}", 0), ContainsSubstring("not valid JSON"));
  CHECK_THAT(refusal("{\"a\xff\":{}}", 0), ContainsSubstring("not valid JSON"));  // not UTF-8
  CHECK_THAT(refusal("{\"\\ud800\":{}}", 0), ContainsSubstring("not valid JSON"));
  CHECK_THAT(refusal(std::string_view("{}\0{{{", 6), 0), ContainsSubstring("NUL"));
  CHECK_THAT(refusal("{'x':1}", 0), ContainsSubstring("not valid JSON"));
}

TEST_CASE("safetensors: values of the wrong type are refused") {
  CHECK_THAT(refusal(R"({"x":1})", 0), ContainsSubstring("'x' is not an object"));
  CHECK_THAT(refusal(R"({"x":null})", 0), ContainsSubstring("'x' is not an object"));
  CHECK_THAT(refusal(R"({"x":[]})", 0), ContainsSubstring("'x' is not an object"));
  CHECK_THAT(refusal(R"({"__metadata__":{"k":1}})", 0),
             ContainsSubstring("__metadata__: 'k' is not a string"));
  CHECK_THAT(refusal(R"({"__metadata__":{"k":{}}})", 0),
             ContainsSubstring("__metadata__: 'k' is not a string"));
  CHECK_THAT(refusal(one(R"("dtype":1)"), 0), ContainsSubstring("tensor 'x': dtype is not a string"));
  CHECK_THAT(refusal(one(R"("shape":{})"), 0), ContainsSubstring("tensor 'x': shape is not a list"));
  CHECK_THAT(refusal(one(R"("shape":"1")"), 0), ContainsSubstring("tensor 'x': shape is not a list"));
  CHECK_THAT(refusal(one(R"("shape":[[1]])"), 0), ContainsSubstring("shape must hold integers of 0 or more"));
  for (const char* bad : {"-1", "1.0", "1e3", "18446744073709551616", "true", "null", "\"1\"", "{}"}) {
    INFO(bad);
    const std::string list = std::string("[") + bad + "]";
    CHECK_THAT(refusal(one(R"("shape":)" + list), 0), ContainsSubstring("shape must hold integers"));
    CHECK_THAT(refusal(one(R"("data_offsets":)" + list), 0),
               ContainsSubstring("data_offsets must hold integers"));
  }
  CHECK_THAT(refusal("{\"x\":" + std::string(1'000'000, '[') + "}", 0),
             ContainsSubstring("'x' is not an object"));
}

TEST_CASE("safetensors: missing, unknown, duplicate and overlong fields are refused") {
  CHECK_THAT(refusal(one(""), 0), ContainsSubstring("tensor 'x': has no dtype"));
  CHECK_THAT(refusal(one(R"("dtype":"U8","shape":[1])"), 1), ContainsSubstring("has no data_offsets"));
  CHECK_THAT(refusal(one(R"("dtype":"U8","shape":[1],"data_offsets":[0,1],"strides":[1])"), 1),
             ContainsSubstring("unknown field 'strides'"));
  CHECK_THAT(refusal(one(R"("dtype":"U8","dtype":"U8")"), 0), ContainsSubstring("dtype appears twice"));
  CHECK_THAT(refusal(one(R"("shape":[1],"shape":[1])"), 0), ContainsSubstring("shape appears twice"));
  CHECK_THAT(refusal(one(R"("dtype":"U8","shape":[1],"data_offsets":[0])"), 1),
             ContainsSubstring("data_offsets must be two numbers"));
  CHECK_THAT(refusal(one(R"("data_offsets":[0,1,1])"), 1),
             ContainsSubstring("data_offsets has more than 2 numbers"));
  CHECK_THAT(refusal(one(R"("shape":[1,1,1,1,1,1,1,1,1])"), 1),
             ContainsSubstring("shape has more than 8 numbers"));
  const std::string x = R"("x":{"dtype":"U8","shape":[1],"data_offsets":[0,1]})";
  CHECK_THAT(refusal("{" + x + "," + x + "}", 1), ContainsSubstring("'x' appears twice"));
  CHECK_THAT(refusal(R"({"__metadata__":{},"__metadata__":{}})", 0),
             ContainsSubstring("'__metadata__' appears twice"));
  CHECK_THAT(refusal(R"({"__metadata__":{"k":"1","k":"2"}})", 0), ContainsSubstring("'k' appears twice"));
}

TEST_CASE("safetensors: dtype, shape and offsets must agree") {
  CHECK_THAT(refusal(one(R"("dtype":"Q8","shape":[1],"data_offsets":[0,1])"), 1),
             ContainsSubstring("unknown dtype 'Q8'"));
  CHECK_THAT(refusal(one(R"("dtype":"F32","shape":[2],"data_offsets":[0,4])"), 4),
             ContainsSubstring("F32 [2] needs 8 bytes"));
  CHECK_THAT(refusal(one(R"("dtype":"F32","shape":[2],"data_offsets":[8,0])"), 8),
             ContainsSubstring("run backwards"));
  CHECK_THAT(refusal(one(R"("dtype":"F4","shape":[3],"data_offsets":[0,1])"), 1),
             ContainsSubstring("whole bytes"));
  for (const char* shape : {"[4294967296,4294967296]", "[9223372036854775808]", "[4611686018427387904,4,0]",
                            "[4611686018427387904]", "[3037000500,3037000500,2]"}) {
    INFO(shape);
    CHECK_THAT(refusal(one(R"("dtype":"F32","data_offsets":[0,0],"shape":)" + std::string(shape)), 0),
               ContainsSubstring("is too large"));
  }
}

TEST_CASE("safetensors: the tensors must cover the payload exactly once") {
  const auto two = [](const std::string& a, const std::string& b) {
    return R"({"a":{"dtype":"U8","shape":[4],"data_offsets":)" + a +
           R"(},"b":{"dtype":"U8","shape":[4],"data_offsets":)" + b + "}}";
  };
  CHECK(refusal(two("[0,4]", "[4,8]"), 8).empty());
  CHECK(refusal(two("[4,8]", "[0,4]"), 8).empty());  // the header's order is free
  CHECK_THAT(refusal(two("[0,4]", "[3,7]"), 7), ContainsSubstring("tensor 'b': begins at byte 3, inside of"));
  CHECK_THAT(refusal(two("[0,4]", "[0,4]"), 4), ContainsSubstring("tensor 'b': begins at byte 0, inside of"));
  CHECK_THAT(refusal(two("[0,4]", "[5,9]"), 9),
             ContainsSubstring("tensor 'b': begins at byte 5, with a gap after"));
  CHECK_THAT(refusal(two("[1,5]", "[5,9]"), 9),
             ContainsSubstring("tensor 'a': begins at byte 1, with a gap after"));
  CHECK_THAT(refusal(two("[0,4]", "[4,8]"), 9), ContainsSubstring("1 bytes after the last tensor"));
  CHECK_THAT(refusal(two("[0,4]", "[4,8]"), 7),
             ContainsSubstring("truncated: the tensors need 8 bytes, the file has 7"));
  CHECK_THAT(refusal("{}", 1), ContainsSubstring("1 bytes after the last tensor"));
}

TEST_CASE("safetensors: control characters of a name do not reach the terminal") {
  CHECK_THAT(refusal(R"({"\u001b[2J":1})", 0), ContainsSubstring("'?[2J' is not an object"));
}

TEST_CASE("safetensors: random damage gives an Error or a readable file") {
  const int memory = ::memfd_create("damaged", MFD_CLOEXEC);  // thousands of files would wait for the disk
  REQUIRE(memory >= 0);
  const fs::path path = "/proc/self/fd/" + std::to_string(memory);
  const std::string whole = small_file();
  std::mt19937 random(20240229);
  const auto below = [&](size_t bound) { return random() % bound; };
  const auto telling = "{}[]\",:0123456789-.eE\\u \0\xff_aFU"sv;
  int accepted = 0;
  for (int i = 0; i < 20'000; ++i) {
    std::string bytes = whole;
    for (size_t edits = 1 + below(3); edits > 0; --edits) {
      const size_t at = below(bytes.size());
      switch (below(5)) {
        case 0:
          bytes[at] = static_cast<char>(bytes[at] ^ (1 << below(8)));
          break;
        case 1:
          bytes[at] = telling[below(telling.size())];
          break;
        case 2:
          bytes.erase(at, 1 + below(4));
          break;
        case 3:
          bytes.insert(at, 1, telling[below(telling.size())]);
          break;
        default:
          bytes.insert(below(bytes.size()), bytes.substr(at, 1 + below(40)));
      }
      // Half of the time the length is made to fit again, so that the damage gets past the first check.
      if (bytes.size() > 25 && below(2) == 0) {
        const uint64_t length = bytes.size() - 25;
        std::memcpy(bytes.data(), &length, sizeof length);
      }
      if (bytes.empty()) break;
    }
    REQUIRE(::ftruncate(memory, 0) == 0);
    REQUIRE(::pwrite(memory, bytes.data(), bytes.size(), 0) == static_cast<ssize_t>(bytes.size()));
    try {
      const SafetensorsFile file(path, Exit::data);
      ++accepted;
      for (const TensorInfo& t : file.tensors()) {
        if (!t.dtype) continue;
        const Tensor tensor = file.tensor(t.name);
        unsigned sum = 0;
        for (size_t b = 0; b < tensor.bytes(); ++b) sum += std::to_integer<unsigned>(tensor.raw()[b]);
        REQUIRE(sum <= 255 * tensor.bytes());  // every byte can be read
      }
    } catch (const Error& e) {
      REQUIRE(e.code() == Exit::data);
    }
  }
  CHECK(accepted > 100);  // flipped payload bits and the like
  ::close(memory);
}
