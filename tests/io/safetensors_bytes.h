// safetensors files from their parts, right or wrong.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

/// `length` as the file claims it to be, then the header and the payload.
inline std::string safetensors_bytes(uint64_t length, std::string_view header, std::string_view payload) {
  return std::string(reinterpret_cast<const char*>(&length), sizeof length).append(header).append(payload);
}
inline std::string safetensors_bytes(std::string_view header, std::string_view payload) {
  return safetensors_bytes(header.size(), header, payload);
}
