// Parsing the JSON header of a safetensors file. Whether it fits the file is checked in
// lib/io/safetensors.cpp. Internal to lib/io.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/error.h"
#include "lib/tensor/dtype.h"

namespace trainer::io::safetensors {

static_assert(std::endian::native == std::endian::little,
              "the format is little endian, and payloads are mapped as they are");

inline constexpr size_t prefix_bytes = 8;                // the header's length, a u64
inline constexpr size_t max_header_bytes = 100'000'000;  // as in the reference implementation
inline constexpr std::string_view metadata_key = "__metadata__";

struct FileDType {
  std::string_view text;
  size_t bits;
  std::optional<DType> dtype = std::nullopt;  ///< nullopt: Tensor has no such type
};

/// Every element type of the format (enum Dtype in safetensors 0.8).
inline constexpr std::array file_dtypes{
    FileDType{"F64", 64, DType::f64},
    FileDType{"F32", 32, DType::f32},
    FileDType{"F16", 16, DType::f16},
    FileDType{"BF16", 16, DType::bf16},
    FileDType{"I64", 64, DType::i64},
    FileDType{"I32", 32, DType::i32},
    FileDType{"U8", 8, DType::u8},
    FileDType{"BOOL", 8},
    FileDType{"I8", 8},
    FileDType{"I16", 16},
    FileDType{"U16", 16},
    FileDType{"U32", 32},
    FileDType{"U64", 64},
    FileDType{"C64", 64},
    FileDType{"F8_E5M2", 8},
    FileDType{"F8_E4M3", 8},
    FileDType{"F8_E8M0", 8},
    FileDType{"F8_E4M3FNUZ", 8},
    FileDType{"F8_E5M2FNUZ", 8},
    FileDType{"F6_E2M3", 6},
    FileDType{"F6_E3M2", 6},
    FileDType{"F4", 4},
};

struct Entry {
  std::string name, dtype;
  std::vector<uint64_t> shape;    // at most Shape::max_rank extents
  std::vector<uint64_t> offsets;  // begin, end
};

struct Header {
  std::map<std::string, std::string> metadata;
  std::vector<Entry> entries;  // in the order of the text
};

/// Throws Error(code) that names `path` and the tensor if the text is not JSON in UTF-8, has another
/// structure, or has a key twice.
Header parse_header(std::string_view text, const std::filesystem::path& path, Exit code);

}  // namespace trainer::io::safetensors
