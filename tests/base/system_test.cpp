#include "lib/base/system.h"

#include <fcntl.h>
#include <sched.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <fstream>
#include <thread>
#include <vector>

#include "lib/base/cgroup.h"
#include "tests/catch.h"
#include "tests/temp_folder.h"

using namespace trainer;
namespace fs = std::filesystem;

namespace {

void put(const fs::path& path, const std::string& text) {
  fs::create_directories(path.parent_path());
  std::ofstream(path) << text;
}

}  // namespace

TEST_CASE("clocks go forward") {
  const double begin = now(), age = process_age();
  std::this_thread::sleep_for(std::chrono::milliseconds(30));
  CHECK(now() - begin >= 0.03);
  CHECK(process_age() - age >= 0.02);
  CHECK(age >= 0);
  CHECK(age < 600);
  CHECK(wall_time() > 1.7e9);  // later than 2023
}

TEST_CASE("cores follow the affinity mask") {
  cpu_set_t before;
  REQUIRE(::sched_getaffinity(0, sizeof before, &before) == 0);
  CHECK(available_cores() >= 1);
  CHECK(available_cores() <= CPU_COUNT(&before));
  cpu_set_t one;
  CPU_ZERO(&one);
  for (int i = 0; i < CPU_SETSIZE && CPU_COUNT(&one) == 0; ++i) {
    if (CPU_ISSET(i, &before)) CPU_SET(i, &one);
  }
  REQUIRE(::sched_setaffinity(0, sizeof one, &one) == 0);
  CHECK(available_cores() == 1);
  REQUIRE(::sched_setaffinity(0, sizeof before, &before) == 0);
}

TEST_CASE("memory is known and its peak grows with use") {
  const MemoryInfo info = memory_info();
  CHECK(info.total > 64 << 20);
  CHECK(info.available > 0);
  CHECK(info.available <= info.total);
  const int64_t before = peak_memory_bytes();
  CHECK(before > 1 << 20);
  const auto more = static_cast<size_t>(before) + (size_t{64} << 20);  // whatever other tests have used
  std::vector<char> block(more);
  std::memset(block.data(), 1, block.size());
  CHECK(block[more / 2] == 1);
  CHECK(peak_memory_bytes() >= before + (32 << 20));
}

TEST_CASE("cpu_name and host_name are not empty") {
  CHECK(!cpu_name().empty());
  CHECK(!host_name().empty());
}

TEST_CASE("a pipe is not a terminal") {
  int ends[2];
  REQUIRE(::pipe(ends) == 0);
  CHECK_FALSE(is_terminal(ends[1]));
  CHECK_FALSE(wants_color(ends[1]));
  ::close(ends[0]);
  ::close(ends[1]);
  CHECK(terminal_columns() > 0);
}

TEST_CASE("a terminal wants colours unless TERM or NO_COLOR say otherwise") {
  const int terminal = ::posix_openpt(O_RDWR | O_NOCTTY);
  if (terminal < 0) return;  // no pseudo terminals here
  const char* term = std::getenv("TERM");
  const std::string before = term == nullptr ? "" : term;
  ::setenv("TERM", "xterm", 1);
  ::unsetenv("NO_COLOR");
  CHECK(is_terminal(terminal));
  CHECK(wants_color(terminal));
  ::setenv("NO_COLOR", "", 1);
  CHECK(wants_color(terminal));
  ::setenv("NO_COLOR", "1", 1);
  CHECK_FALSE(wants_color(terminal));
  CHECK(is_terminal(terminal));
  ::unsetenv("NO_COLOR");
  ::setenv("TERM", "dumb", 1);
  CHECK_FALSE(is_terminal(terminal));
  ::setenv("TERM", before.c_str(), 1);
  ::close(terminal);
}

TEST_CASE("cgroup version 2: the tightest limit of the group and its ancestors holds") {
  const TempFolder folder;
  put(folder / "membership", "0::/job/step\n");
  put(folder / "cg/job/step/cpu.max", "max 100000\n");
  put(folder / "cg/job/cpu.max", "250000 100000\n");
  put(folder / "cg/job/step/memory.max", "2000000\n");
  put(folder / "cg/job/step/memory.current", "900000\n");
  put(folder / "cg/job/step/memory.stat", "anon 500000\ninactive_file 300000\n");
  put(folder / "cg/job/memory.max", "max\n");
  const CgroupLimits limits = cgroup_limits(folder / "cg", folder / "membership");
  CHECK(limits.cores == 2.5);
  CHECK(limits.memory == 2000000);
  CHECK(limits.memory_used == 600000);
}

TEST_CASE("cgroup version 2 in a container: the group's path is not visible, the root holds the limits") {
  const TempFolder folder;
  put(folder / "membership", "0::/system.slice/docker-123.scope\n");
  put(folder / "cg/cpu.max", "50000 100000\n");
  CHECK(cgroup_limits(folder / "cg", folder / "membership").cores == 0.5);
}

TEST_CASE("cgroup version 1") {
  const TempFolder folder;
  put(folder / "membership", "12:memory:/a\n4:cpu,cpuacct:/a\n1:name=systemd:/\n0::/\n");
  put(folder / "cg/cpu/a/cpu.cfs_quota_us", "300000\n");
  put(folder / "cg/cpu/a/cpu.cfs_period_us", "100000\n");
  put(folder / "cg/cpu/cpu.cfs_quota_us", "-1\n");
  put(folder / "cg/cpu/cpu.cfs_period_us", "100000\n");
  put(folder / "cg/memory/a/memory.limit_in_bytes", "9223372036854771712\n");
  put(folder / "cg/memory/memory.limit_in_bytes", "5000000\n");
  put(folder / "cg/memory/memory.usage_in_bytes", "1000000\n");
  const CgroupLimits limits = cgroup_limits(folder / "cg", folder / "membership");
  CHECK(limits.cores == 3.0);
  CHECK(limits.memory == 5000000);
  CHECK(limits.memory_used == 1000000);
}

TEST_CASE("without cgroups there are no limits") {
  const TempFolder folder;
  const CgroupLimits limits = cgroup_limits(folder / "none", folder / "none");
  CHECK_FALSE(limits.cores.has_value());
  CHECK_FALSE(limits.memory.has_value());
}
