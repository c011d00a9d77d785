// What the program asks of the machine.
#pragma once

#include <cstdint>
#include <string>

namespace trainer {

/// Seconds on the monotonic clock; differences only.
double now();
/// Seconds since the process was started by the kernel (from /proc/self/stat).
double process_age();
/// Processors this process may use: the affinity mask, capped by the cgroup's CPU quota (rounded up), at least 1.
int available_cores();
/// Largest resident set so far, bytes.
int64_t peak_memory_bytes();
/// Memory of the machine and what is available of it, bytes, capped by the cgroup.
struct MemoryInfo { int64_t total = 0, available = 0; };
MemoryInfo memory_info();
/// "Intel(R) Xeon(R) ..." from /proc/cpuinfo.
std::string cpu_name();
std::string host_name();
/// stdout/stderr is a terminal, TERM is not dumb.
bool is_terminal(int fd);
/// Colours are wanted: a terminal and no NO_COLOR.
bool wants_color(int fd);
int terminal_columns();

}  // namespace trainer
