// Starting one worker, and ending all that it has started.
#pragma once

#include <signal.h>
#include <sys/types.h>

#include <string>
#include <vector>

#include "apps/trainer-launch/guardian.h"
#include "apps/trainer-launch/program.h"

namespace trainer::launch {

struct SpawnFiles {
  int in = -1, out = -1, err = -1;  ///< become its stdin, stdout, stderr; -1: ours
};

/// Starts `command` as leader of a process group of its own, which the guardian watches, to be killed by the
/// kernel when this process dies. Only from the main thread: the kernel means the thread. Throws
/// Error(Exit::usage) if it cannot be executed.
pid_t spawn(const Command&, const std::vector<std::string>& environment, const SpawnFiles&,
            const sigset_t& mask, const Guardian&);

/// Makes orphans of our workers our children, so that they can be found.
void adopt_orphans();
/// All processes below this one, other than `except`.
std::vector<pid_t> descendants(pid_t except);
/// Kills and reaps whatever is left below this process, other than `except`; gives up after some seconds.
void kill_descendants(pid_t except);

/// 'T' if it was stopped by a signal, 0 if it is not there; see man 5 proc.
char state_of(pid_t);

}  // namespace trainer::launch
