// Worker: one process of the run on this node.
#pragma once

#include <sys/types.h>
#include <sys/wait.h>

#include <string>

namespace trainer::launch {

struct Worker {
  int local_rank = 0, rank = 0;
  pid_t pid = 0;
  bool running = false;
  double started = 0, ended = 0;  ///< now()
  double ended_wall = 0;          ///< seconds since 1970
  int64_t ended_nanoseconds = 0;  ///< below the second
  int status = 0;                 ///< of waitpid
  std::string log_folder;         ///< "": none
  std::string error_file;

  bool exited() const { return !running && WIFEXITED(status); }
  bool succeeded() const { return exited() && WEXITSTATUS(status) == 0; }
  int code() const { return exited() ? WEXITSTATUS(status) : -1; }
  /// That ended it; 0: none.
  int signal() const { return !running && WIFSIGNALED(status) ? WTERMSIG(status) : 0; }
};

}  // namespace trainer::launch
