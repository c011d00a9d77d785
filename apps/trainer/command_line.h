// Words of the command line to the command that they name.
#pragma once

#include <string>
#include <vector>

#include "apps/trainer/command.h"

namespace trainer::app {

/// Runs the command that the words name, `root` without one, and returns its exit code. --help and --version
/// print and return 0. Throws Error(Exit::usage), with near names for unknown words.
int run(const Command& root, const std::vector<std::string>& words);

}  // namespace trainer::app
