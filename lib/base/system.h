// Clocks, processors, memory, names and terminals of this machine. Nothing here throws: what is unknown has
// the default value given below.
#pragma once

#include <cstdint>
#include <string>

namespace trainer {

/// Seconds on the monotonic clock: for durations and deadlines. The same clock in all processes of a machine.
double now();
/// Seconds since 1970: for time stamps. Jumps when the clock is set.
double wall_time();
/// Seconds since the process was started, from /proc/self/stat; 0 if unknown.
double process_age();

/// Processors this process may use: the affinity mask, capped by the cgroup's CPU quota (rounded up), at
/// least 1.
int available_cores();
/// The resident set of this process now, bytes; 0 if unknown.
int64_t resident_memory_bytes();
/// The largest resident set of this process so far, bytes.
int64_t peak_memory_bytes();
/// Bytes of this machine, capped by the cgroup; 0 if unknown.
struct MemoryInfo {
  int64_t total = 0, available = 0;
};
MemoryInfo memory_info();

/// "Intel(R) Xeon(R) ..." from /proc/cpuinfo, or else "aarch64 processor".
std::string cpu_name();
/// "localhost" if unknown.
std::string host_name();

/// The descriptor is a terminal and TERM is not "dumb".
bool is_terminal(int fd);
/// is_terminal(), and NO_COLOR is unset or empty (https://no-color.org).
bool wants_color(int fd);
/// Width of the terminal on stderr, else on stdout, else COLUMNS, else 80.
int terminal_columns();

}  // namespace trainer
