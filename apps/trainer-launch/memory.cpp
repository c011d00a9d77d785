#include "apps/trainer-launch/memory.h"

#include <fcntl.h>
#include <fmt/core.h>

#include <array>
#include <filesystem>
#include <fstream>

#include "lib/base/cgroup.h"
#include "lib/base/fd.h"
#include "lib/base/text.h"

namespace trainer::launch {
namespace {

namespace fs = std::filesystem;

/// The "oom_kill N" line of a file, 0 if there is none.
int64_t kills_in(const fs::path& path) {
  std::ifstream file(path);
  std::string name;
  for (int64_t value = 0; file >> name >> value;) {
    if (name == "oom_kill") return value;
  }
  return 0;
}

/// Processes killed for memory in this process's control group (man 7 cgroups), versions 1 and 2. In a
/// container the group's path may not be visible, and the mount's root stands for it.
int64_t group_kills() {
  std::ifstream membership("/proc/self/cgroup");
  int64_t kills = 0;
  for (std::string line; std::getline(membership, line);) {
    const size_t first = line.find(':'), second = line.find(':', first + 1);
    if (first == line.npos || second == line.npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    if (!controllers.empty() && controllers != "memory") continue;
    const fs::path root = controllers.empty() ? "/sys/fs/cgroup" : "/sys/fs/cgroup/memory";
    const char* name = controllers.empty() ? "memory.events" : "memory.oom_control";
    fs::path folder = root / fs::path(line.substr(second + 1)).relative_path();
    std::error_code ignored;
    if (!fs::exists(folder / name, ignored)) folder = root;
    kills += kills_in(folder / name);
  }
  return kills;
}

/// The kernel's log names the process; often only root may read it.
bool in_kernel_log(pid_t pid) {
  const Fd log(::open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC));
  const std::string wanted = "Killed process " + std::to_string(pid) + " ";
  std::array<char, 8192> record;
  for (;;) {
    const ssize_t n = ::read(log.get(), record.data(), record.size());
    if (n < 0 && errno == EPIPE) continue;  // records were overwritten meanwhile
    if (n <= 0) return false;
    if (std::string_view(record.data(), static_cast<size_t>(n)).find(wanted) != std::string_view::npos)
      return true;
  }
}

}  // namespace

MemoryWatch::MemoryWatch() : kills_before_(group_kills()) {}

std::string MemoryWatch::killed(pid_t pid) const {
  const auto limit = cgroup_limits().memory;
  const std::string of =
      limit ? fmt::format(" (the control group may use {})", human_bytes(static_cast<double>(*limit)))
            : std::string();
  if (in_kernel_log(pid)) return "the kernel killed it: out of memory" + of;
  if (group_kills() > kills_before_)
    return "the kernel killed a process of this control group: out of memory" + of;
  return "";
}

}  // namespace trainer::launch
