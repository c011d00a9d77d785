// The merged tree as YAML with the same meaning to YAML 1.1 and 1.2 readers.
#pragma once

#include <string>

#include "lib/config/node.h"

namespace trainer::config {

/// Sorted by key, two spaces a level, lists in brackets, None as null.
std::string dump_yaml(const Node& root);

/// A double as 1.0, 5.0e-07, .inf: a float to all readers, that reads back to the same bits.
std::string yaml_float(double);

/// A string as a YAML scalar: plain if every reader takes it for a string, else in quotes.
std::string yaml_string(const std::string&);

}  // namespace trainer::config
