// Limits that the process's control group sets (containers, Slurm, systemd), versions 1 and 2.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>

namespace trainer {

struct CgroupLimits {
  std::optional<double> cores;    ///< CPU time per wall time
  std::optional<int64_t> memory;  ///< bytes
  std::optional<int64_t>
      memory_used;  ///< bytes charged to the group that sets `memory`, without page cache that can be dropped
};

/// The tightest limits of the process's group and the groups above it. `mount` is where the hierarchies are
/// mounted and `membership` the file that names the group (man 7 cgroups). What cannot be read is no limit.
CgroupLimits cgroup_limits(const std::filesystem::path& mount = "/sys/fs/cgroup",
                           const std::filesystem::path& membership = "/proc/self/cgroup");

}  // namespace trainer
