// Limits that the process's control group sets (containers, Slurm, systemd), versions 1 and 2.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>

namespace trainer {

struct CgroupLimits {
  std::optional<double> cores;    ///< seconds of CPU time per second
  std::optional<int64_t> memory;  ///< bytes
  /// Bytes charged to the group that sets `memory`, without page cache that can be dropped. Set if `memory`
  /// is.
  std::optional<int64_t> memory_used;
};

/// The tightest limits of the process's group and the groups above it; nullopt where none is set or readable.
/// `mount` is where the hierarchies are mounted, `membership` the file that names the group (man 7 cgroups).
CgroupLimits cgroup_limits(const std::filesystem::path& mount = "/sys/fs/cgroup",
                           const std::filesystem::path& membership = "/proc/self/cgroup");

}  // namespace trainer
