// The merged tree as YAML that means the same to every reader.
#pragma once

#include <string>

#include "lib/config/node.h"

namespace trainer::config {

/// Sorted by key, two spaces a level, lists in brackets, None as null.
std::string dump_yaml(const Node& root);

/// A double that YAML 1.1 and 1.2 readers take for a float, and that reads back to the same
/// bits: 1.0, 5.0e-07, .inf.
std::string yaml_float(double);

/// A string as a YAML scalar: plain where nobody could take it for anything else, in quotes otherwise.
std::string yaml_string(const std::string&);

}  // namespace trainer::config
