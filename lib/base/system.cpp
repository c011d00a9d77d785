#include "lib/base/system.h"

#include <sched.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdlib>
#include <ctime>
#include <fstream>
#include <sstream>
#include <string_view>
#include <vector>

#include "lib/base/cgroup.h"

namespace trainer {
namespace {

double seconds_on(clockid_t clock) {
  timespec t{};
  ::clock_gettime(clock, &t);
  return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_nsec) * 1e-9;
}

/// The number of a "Name:   123 kB" line in bytes, 0 if there is none.
int64_t kilobytes_in(const char* path, std::string_view name) {
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with(name) && line.size() > name.size() && line[name.size()] == ':') {
      return std::strtoll(line.c_str() + name.size() + 1, nullptr, 10) * 1024;
    }
  }
  return 0;
}

/// Processors in the affinity mask; the mask grows until the kernel's fits (more than 1024 processors exist).
int affinity_cores() {
  for (size_t sets = 1; sets <= 64; sets *= 2) {
    std::vector<cpu_set_t> mask(sets);
    const size_t bytes = sets * sizeof(cpu_set_t);
    if (::sched_getaffinity(0, bytes, mask.data()) == 0) return CPU_COUNT_S(bytes, mask.data());
  }
  return static_cast<int>(::sysconf(_SC_NPROCESSORS_ONLN));
}

std::string_view environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? std::string_view{} : value;
}

}  // namespace

double now() { return seconds_on(CLOCK_MONOTONIC); }

double wall_time() { return seconds_on(CLOCK_REALTIME); }

double process_age() {
  std::ifstream file("/proc/self/stat");
  std::string line;
  std::getline(file, line);
  const size_t name_end = line.rfind(')');  // field 2 is the program's name and may hold anything
  if (name_end == line.npos) return 0;
  std::istringstream fields(line.substr(name_end + 1));
  std::string field;
  for (int i = 3; i <= 22; ++i) fields >> field;  // field 22: start time in ticks since boot
  const double start = std::strtod(field.c_str(), nullptr) / static_cast<double>(::sysconf(_SC_CLK_TCK));
  return std::max(0.0, seconds_on(CLOCK_BOOTTIME) - start);
}

int available_cores() {
  int cores = affinity_cores();
  if (const auto quota = cgroup_limits().cores) {
    cores = static_cast<int>(std::min<double>(cores, std::ceil(*quota)));
  }
  return std::max(1, cores);
}

int64_t resident_memory_bytes() { return kilobytes_in("/proc/self/status", "VmRSS"); }

int64_t peak_memory_bytes() {
  // Not getrusage first: its maximum survives exec and would show the memory of the shell or launcher that
  // started us.
  if (const int64_t peak = kilobytes_in("/proc/self/status", "VmHWM")) return peak;
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  return int64_t{usage.ru_maxrss} * 1024;
}

MemoryInfo memory_info() {
  MemoryInfo info{kilobytes_in("/proc/meminfo", "MemTotal"), kilobytes_in("/proc/meminfo", "MemAvailable")};
  const CgroupLimits limits = cgroup_limits();
  if (limits.memory && *limits.memory < info.total) {
    info.total = *limits.memory;
    info.available = std::min(info.available, std::max<int64_t>(0, *limits.memory - *limits.memory_used));
  }
  return info;
}

std::string cpu_name() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    if (!line.starts_with("model name")) continue;
    const size_t value = line.find_first_not_of(" \t", line.find(':') + 1);
    if (value != line.npos) return line.substr(value);
  }
  utsname names{};
  return ::uname(&names) == 0 ? std::string(names.machine) + " processor" : "unknown processor";
}

std::string host_name() {
  std::array<char, 256> name{};
  return ::gethostname(name.data(), name.size() - 1) == 0 ? name.data() : "localhost";
}

bool is_terminal(int fd) { return ::isatty(fd) == 1 && environment("TERM") != "dumb"; }

bool wants_color(int fd) { return is_terminal(fd) && environment("NO_COLOR").empty(); }

int terminal_columns() {
  for (const int fd : {STDERR_FILENO, STDOUT_FILENO}) {
    winsize size{};
    if (::ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) return size.ws_col;
  }
  const int columns = std::atoi(std::string(environment("COLUMNS")).c_str());
  return columns > 0 ? columns : 80;
}

}  // namespace trainer
