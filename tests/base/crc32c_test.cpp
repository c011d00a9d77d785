#include "lib/base/crc32c.h"

#include <string_view>
#include <vector>

#include "tests/catch.h"

using namespace trainer;

TEST_CASE("crc32c gives the known answers of RFC 3720") {
  const std::string_view digits = "123456789";
  CHECK(crc32c(std::as_bytes(std::span(digits.data(), digits.size()))) == 0xE3069283);
  CHECK(crc32c({}) == 0);
  CHECK(crc32c(std::vector<std::byte>(32, std::byte{0x00})) == 0x8A9136AA);
  CHECK(crc32c(std::vector<std::byte>(32, std::byte{0xFF})) == 0x62A8AB43);
  std::vector<std::byte> ascending(32);
  for (size_t i = 0; i < 32; ++i) ascending[i] = static_cast<std::byte>(i);
  CHECK(crc32c(ascending) == 0x46DD794E);
}
