// A strict YAML reader over yaml-cpp's parser, which by itself accepts documents that are cyclic, ambiguous,
// cut off or exponentially large.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

#include "lib/config/problems.h"
#include "lib/config/raw_value.h"

namespace trainer::config {

/// Limits of one merge. Aliases count each time that they are used.
struct Budget {
  static constexpr size_t file_bytes = size_t{1} << 20;
  static constexpr size_t depth = 64;
  static constexpr size_t marks = 200'000;  // of one file; yaml-cpp holds a flow list as tokens until it ends
  size_t nodes = 100'000;
  size_t bytes = 4 * file_bytes;  // of all files together
  size_t files = 256;
};

/// The map at the root of a YAML text, or null with at least one problem added. Refused beside YAML's own
/// errors: any encoding but UTF-8, control characters, an empty document, a root that is not a map, a second
/// document, text after the first one, duplicate keys, merge keys (<<), keys that are not plain words, tags
/// beyond YAML's core types, cyclic aliases, quotes that are not closed, and whatever exceeds the budget.
/// `name` stands for the file in problems.
std::shared_ptr<const RawValue> read_yaml(std::string_view text, std::string_view name, Budget&, Problems&);

/// The same for a file.
std::shared_ptr<const RawValue> read_yaml_file(const std::filesystem::path&, Budget&, Problems&);

}  // namespace trainer::config
