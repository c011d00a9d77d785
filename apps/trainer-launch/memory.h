// Did the kernel kill a process because memory ran out?
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>

namespace trainer::launch {

class MemoryWatch {
 public:
  MemoryWatch();
  /// Of a process that SIGKILL has ended: "" or how it is known that the kernel did it for memory.
  std::string killed(pid_t) const;

 private:
  int64_t kills_before_;
};

}  // namespace trainer::launch
