// Words of the command line to the command that they name.
#pragma once

#include <string>
#include <vector>

#include "apps/cli/command.h"

namespace trainer::cli {

/// Runs the command that the words name, after its flags' `take`; returns the exit code. --help and --version print and
/// return 0. Throws Error(Exit::usage) with a line for everything that is wrong.
///
/// A flag's value is the next word, or follows `=`; it may begin with dashes unless it is itself a flag of the command.
/// Of a flag that is given twice the last value counts, as in Python's argparse. The flags of a subcommand come after
/// its name. `--` ends flags.
int run(const Command& root, const std::vector<std::string>& words);

}  // namespace trainer::cli
