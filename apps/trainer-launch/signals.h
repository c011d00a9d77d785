// Signals as events: blocked in this process and read from a descriptor.
#pragma once

#include <signal.h>

#include <optional>
#include <vector>

#include "lib/base/fd.h"

namespace trainer::launch {

class Signals {
 public:
  /// Blocks SIGCHLD, SIGWINCH, SIGUSR1 and those that end a run. SIGHUP is left alone where it is ignored
  /// (nohup).
  explicit Signals(const std::vector<int>& ending);
  /// Unblocks them again. One that is pending then has its usual effect.
  ~Signals();
  Signals(const Signals&) = delete;
  Signals& operator=(const Signals&) = delete;

  int fd() const { return fd_.get(); }
  /// The next one that has come.
  std::optional<int> next();
  bool ends_run(int signal) const { return ::sigismember(&ending_, signal) == 1; }
  /// For children: as it was before.
  const sigset_t& mask_before() const { return before_; }

 private:
  sigset_t ending_{}, before_{};
  Fd fd_;
};

}  // namespace trainer::launch
