// Words of the command line to the command that they name.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "apps/cli/command.h"

namespace trainer::cli {

/// What words say. They are all looked at: what is wrong with one does not hide what is wrong with the next.
struct Parsed {
  const Command* command = nullptr;  ///< the one that they name
  std::string path;                  ///< "trainer config diff"
  /// In the order of the command's flags; of one that is given twice the last word, as in Python's argparse.
  std::vector<std::pair<const Flag*, std::vector<std::string>>> given;
  std::vector<std::string> problems;
  bool help = false, version = false;
};

/// A flag's value is the next word, or follows `=`; it may begin with dashes unless it is itself a flag of the command.
/// The flags of a subcommand come after its name. `--` ends flags.
Parsed parse(const Command& root, const std::vector<std::string>& words);

/// Calls `take` of what was given (or is in the environment), and adds what they refuse to the problems.
void take(Parsed&);

/// Parses, takes and runs; returns the exit code. --help and --version print and return 0. Throws Error(Exit::usage)
/// with a line for everything that is wrong.
int run(const Command& root, const std::vector<std::string>& words);

}  // namespace trainer::cli
