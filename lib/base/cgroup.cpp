#include "lib/base/cgroup.h"

#include <algorithm>
#include <fstream>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

namespace trainer {
namespace {

namespace fs = std::filesystem;

/// The first number of a file; "max" and -1 (no limit) and unreadable files are none.
std::optional<int64_t> number_in(const fs::path& path) {
  std::ifstream file(path);
  int64_t value = 0;
  if (file >> value && value >= 0) return value;
  return std::nullopt;
}

/// The value of a "key value" line, 0 if there is none.
int64_t value_of(const fs::path& path, std::string_view key) {
  std::ifstream file(path);
  std::string name;
  int64_t value = 0;
  while (file >> name >> value) {
    if (name == key) return value;
  }
  return 0;
}

/// "/a/b" below `root` -> root/a/b, root/a, root. A path from outside of a container may not exist below its
/// root; the root itself then holds the container's limits.
std::vector<fs::path> group_and_ancestors(const fs::path& root, const std::string& group) {
  std::vector<fs::path> folders;
  for (fs::path path = fs::path(group).relative_path(); !path.empty(); path = path.parent_path()) {
    folders.push_back(root / path);
  }
  folders.push_back(root);
  return folders;
}

void limit_cores(CgroupLimits& limits, std::optional<int64_t> quota, std::optional<int64_t> period) {
  if (!quota || !period || *quota == 0 || *period == 0) return;
  const double cores = static_cast<double>(*quota) / static_cast<double>(*period);
  limits.cores = std::min(limits.cores.value_or(cores), cores);
}

void limit_memory(CgroupLimits& limits, std::optional<int64_t> most, std::optional<int64_t> used,
                  int64_t droppable) {
  // Version 1 writes "no limit" as the largest multiple of the page size.
  if (!most || *most >= int64_t{1} << 60 || (limits.memory && *limits.memory <= *most)) return;
  limits.memory = most;
  limits.memory_used = std::max<int64_t>(0, used.value_or(0) - droppable);
}

void read_version_2(CgroupLimits& limits, const fs::path& folder) {
  std::ifstream cpu(folder / "cpu.max");  // "200000 100000" or "max 100000"
  int64_t quota = 0, period = 0;
  if (cpu >> quota >> period) limit_cores(limits, quota, period);
  limit_memory(limits, number_in(folder / "memory.max"), number_in(folder / "memory.current"),
               value_of(folder / "memory.stat", "inactive_file"));
}

void read_version_1(CgroupLimits& limits, const fs::path& folder) {
  limit_cores(limits, number_in(folder / "cpu.cfs_quota_us"), number_in(folder / "cpu.cfs_period_us"));
  limit_memory(limits, number_in(folder / "memory.limit_in_bytes"),
               number_in(folder / "memory.usage_in_bytes"),
               value_of(folder / "memory.stat", "total_inactive_file"));
}

}  // namespace

CgroupLimits cgroup_limits(const fs::path& mount, const fs::path& membership) {
  CgroupLimits limits;
  std::ifstream file(membership);
  // Lines are "id:controllers:path"; version 2 has id 0 and no controllers.
  for (std::string line; std::getline(file, line);) {
    const size_t first = line.find(':');
    const size_t second = first == line.npos ? line.npos : line.find(':', first + 1);
    if (second == line.npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    const std::string group = line.substr(second + 1);
    if (controllers.empty()) {
      for (const fs::path& folder : group_and_ancestors(mount, group)) read_version_2(limits, folder);
      continue;
    }
    std::istringstream names(controllers);
    for (std::string name; std::getline(names, name, ',');) {
      if (name != "cpu" && name != "memory") continue;
      for (const fs::path& folder : group_and_ancestors(mount / name, group)) read_version_1(limits, folder);
    }
  }
  return limits;
}

}  // namespace trainer
