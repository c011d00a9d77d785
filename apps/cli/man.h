// Pages for man(1), made from the tables of the command line.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "apps/cli/command.h"

namespace trainer::cli {

/// A line of a section, and the commands whose pages have it; the program's own page has all.
struct Fact {
  const char *name, *text, *commands;
};

struct Manual {
  const Command& root;
  std::string about;  ///< beside the program's help
  std::span<const Fact> exits, files, environment;
  std::vector<std::string> see_also = {};  ///< pages of other programs
};

/// The page of the program itself (`command` is the root) or of one of its commands, in roff.
std::string man_page(const Manual&, const Command& command);

}  // namespace trainer::cli
