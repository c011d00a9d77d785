// CRC-32C (Castagnoli; RFC 3720, appendix B.4): the checksum of TFRecord files.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace trainer {
namespace detail {

/// The remainder of each byte, for the reflected polynomial 0x1EDC6F41.
constexpr std::array<uint32_t, 256> crc32c_table() {
  std::array<uint32_t, 256> table{};
  for (uint32_t byte = 0; byte < 256; ++byte) {
    uint32_t crc = byte;
    for (int bit = 0; bit < 8; ++bit) crc = crc >> 1 ^ ((crc & 1U) != 0 ? 0x82F63B78U : 0U);
    table[byte] = crc;
  }
  return table;
}

}  // namespace detail

constexpr uint32_t crc32c(std::span<const std::byte> bytes) {
  constexpr auto table = detail::crc32c_table();
  uint32_t crc = 0xFFFFFFFFU;
  for (const std::byte b : bytes) crc = crc >> 8 ^ table[(crc ^ std::to_integer<uint32_t>(b)) & 0xFFU];
  return ~crc;
}

}  // namespace trainer
