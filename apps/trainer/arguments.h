// The command line before the option parser sees it.
#pragma once

#include <string>
#include <vector>

namespace trainer::app {

struct Arguments {
  std::vector<std::string> flags;  ///< everything else, with dashes for underscores in flag names
  std::vector<std::string> opts;   ///< KEY VALUE KEY VALUE ...
};

/// Takes `--opts KEY VALUE ...` apart: pairs up to the next word that begins with `--` where a key is
/// expected. A word with `=` there is a pair of its own; values may begin with `-`; --opts may come anywhere
/// and repeat. Throws Error(Exit::usage) for a key without a value.
Arguments take_opts(const std::vector<std::string>& words);

}  // namespace trainer::app
