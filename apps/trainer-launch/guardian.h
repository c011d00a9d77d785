// The guardian: a small process that ends the workers' process groups if the launcher is killed with SIGKILL.
// The kernel does that for the workers themselves (PR_SET_PDEATHSIG), but not for what they have started.
#pragma once

#include <sys/types.h>

#include <string>

#include "lib/base/fd.h"

namespace trainer::launch {

class Guardian {
 public:
  /// Forks. To be called before anything else is opened or started. `argv` is overwritten in the guardian, so
  /// that a search for the launcher's name does not find it.
  explicit Guardian(char** argv);
  /// Sends it away without doing anything.
  ~Guardian();
  Guardian(const Guardian&) = delete;
  Guardian& operator=(const Guardian&) = delete;

  pid_t pid() const { return pid_; }
  /// Async-signal-safe: a worker does it itself before it becomes another program.
  void watch(pid_t group) const;
  void forget(pid_t group) const;
  /// A folder that is to be removed, too.
  void clean_up(const std::string& folder);

 private:
  Fd pipe_;
  pid_t pid_ = -1;
};

}  // namespace trainer::launch
