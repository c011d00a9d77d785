// The implicit types of YAML 1.1, as PyYAML resolves them.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "lib/config/value.h"

namespace trainer::config {

/// A plain scalar's value: null, yes/no/on/off/true/false, integers (010 is 8, 1:30 is 90), floats (which
/// need a point and a signed exponent: 1e-8 is a str), else the text itself. An integer beyond 64 bits is a
/// str here.
Value resolve_yaml_scalar(std::string_view text);

/// A plain scalar with the value that `text` has under the tag !!int, !!float, !!bool or !!null (`type` is the
/// word): "1" is "1.0" under !!float. nullopt if it has none.
std::optional<std::string> tagged_yaml_scalar(std::string_view type, std::string_view text);

}  // namespace trainer::config
