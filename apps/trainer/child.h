// A program that this one starts and waits for.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "lib/base/fd.h"

namespace trainer::app {

/// A file in memory that is gone when it is closed. `name` is for who looks into /proc.
Fd memory_file(const char* name);

struct ChildOutcome {
  int status = 0;        ///< of waitpid
  std::string out, err;  ///< all that it wrote

  bool succeeded() const { return status == 0; }
  /// "exit code 2", "signal 9".
  std::string end() const;
};

/// Runs a program to its end. words[0] is looked up in PATH unless it has a slash; `environment` is added to
/// ours. Throws Error(Exit::usage) if it cannot be started. If this process was asked to stop
/// (signals::install()), or dies, the program is killed with its process group; asked to stop, this throws
/// Error(Exit::interrupted or terminated).
ChildOutcome run_child(const std::vector<std::string>& words,
                       const std::vector<std::pair<std::string, std::string>>& environment = {});

}  // namespace trainer::app
