// What is known of the values of configuration keys, for completion.
#pragma once

#include <string>
#include <vector>

#include "apps/cli/completion.h"

namespace trainer::app {

/// The values of a configuration key that are known: its choices, True and False, the components that it may name; of a
/// list those of its elements. Empty if there are none, or no such key.
std::vector<std::string> known_values(const std::string& key);

/// The entries "keys", "models" and "=KEY" of completion.
std::vector<cli::Entry> key_entries();

}  // namespace trainer::app
