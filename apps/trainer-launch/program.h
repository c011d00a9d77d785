// What is executed: the program's words as an absolute path and its arguments.
#pragma once

#include <string>
#include <vector>

#include "apps/trainer-launch/options.h"

namespace trainer::launch {

struct Command {
  std::string path;                ///< of the executable
  std::vector<std::string> words;  ///< argv, its name first
};

/// Throws Error(Exit::usage) naming a program that is not there or cannot be executed.
Command command_of(const Options&);

}  // namespace trainer::launch
