// What the program asks of the machine. Nothing here throws: what cannot be found out has a harmless answer.
#pragma once

#include <cstdint>
#include <string>

namespace trainer {

/// Seconds on the monotonic clock; differences only.
double now();
/// Seconds since 1970, which jump when the clock is set: for time stamps only.
double wall_time();
/// Seconds since the process was started by the kernel (from /proc/self/stat).
double process_age();

/// Processors this process may use: the affinity mask, capped by the cgroup's CPU quota (rounded up), at
/// least 1.
int available_cores();
/// Largest resident set so far, bytes.
int64_t peak_memory_bytes();
/// Memory of the machine and what is available of it, bytes, capped by the cgroup. 0 where it is unknown.
struct MemoryInfo {
  int64_t total = 0, available = 0;
};
MemoryInfo memory_info();

/// "Intel(R) Xeon(R) ..." from /proc/cpuinfo; the architecture where that has no name.
std::string cpu_name();
std::string host_name();

/// stdout/stderr is a terminal, TERM is not dumb.
bool is_terminal(int fd);
/// Colours are wanted: a terminal and no NO_COLOR (https://no-color.org: set and not empty).
bool wants_color(int fd);
/// Width of the terminal on stderr or stdout; else COLUMNS, else 80.
int terminal_columns();

}  // namespace trainer
