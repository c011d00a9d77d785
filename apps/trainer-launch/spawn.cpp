#include "apps/trainer-launch/spawn.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <thread>

#include "lib/base/fd.h"
#include "lib/base/system.h"

namespace trainer::launch {
namespace {

namespace fs = std::filesystem;

std::vector<char*> pointers(const std::vector<std::string>& words) {
  std::vector<char*> all;
  for (const std::string& word : words) all.push_back(const_cast<char*>(word.c_str()));
  all.push_back(nullptr);
  return all;
}

/// Between fork and exec: system calls only, because other threads may hold any lock.
[[noreturn]] void become(const Command& command, char* const* words, char* const* environment,
                         const SpawnFiles& files, const sigset_t& mask, pid_t launcher, int report,
                         const Guardian& guardian) {
  ::setpgid(0, 0);             // a terminal's Ctrl-C reaches the launcher only, which passes it on once
  guardian.watch(::getpid());  // here: before it can start anything
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != launcher) ::_exit(1);  // it died before the line above
  if (files.in >= 0) ::dup2(files.in, STDIN_FILENO);
  if (files.out >= 0) ::dup2(files.out, STDOUT_FILENO);
  if (files.err >= 0) ::dup2(files.err, STDERR_FILENO);
  ::signal(SIGPIPE, SIG_DFL);
  ::sigprocmask(SIG_SETMASK, &mask, nullptr);
  ::execve(command.path.c_str(), words, environment);
  const int reason = errno;
  (void)!::write(report, &reason, sizeof reason);
  ::_exit(127);
}

struct ProcessInfo {
  char state = 0;
  pid_t parent = 0;
};

ProcessInfo info_of(pid_t pid) {
  std::ifstream file(fmt::format("/proc/{}/stat", pid));
  std::string line;
  std::getline(file, line);
  ProcessInfo info;
  const size_t name_end = line.rfind(')');  // the name may hold anything
  if (name_end != line.npos) std::sscanf(line.c_str() + name_end + 1, " %c %d", &info.state, &info.parent);
  return info;
}

std::vector<pid_t> numbers_in(const fs::path& folder) {
  std::vector<pid_t> all;
  std::error_code ignored;
  for (fs::directory_iterator entry(folder, ignored), end; entry != end; entry.increment(ignored)) {
    if (const pid_t number = std::atoi(entry->path().filename().c_str()); number > 0) all.push_back(number);
  }
  return all;
}

std::vector<pid_t> children_of(pid_t parent) {
  const fs::path tasks = fmt::format("/proc/{}/task", parent);
  std::vector<pid_t> all;
  std::error_code ignored;
  static const bool listed = fs::exists("/proc/thread-self/children", ignored);
  if (listed) {
    for (const pid_t thread : numbers_in(tasks)) {
      std::ifstream list(tasks / std::to_string(thread) / "children");
      for (pid_t child = 0; list >> child;) all.push_back(child);
    }
    return all;
  }
  // A kernel without CONFIG_PROC_CHILDREN: all processes are looked at.
  for (const pid_t pid : numbers_in("/proc")) {
    if (info_of(pid).parent == parent) all.push_back(pid);
  }
  return all;
}

}  // namespace

pid_t spawn(const Command& command, const std::vector<std::string>& environment, const SpawnFiles& files,
            const sigset_t& mask, const Guardian& guardian) {
  const auto words = pointers(command.words), variables = pointers(environment);
  int ends[2] = {-1, -1};
  check(Exit::distributed, ::pipe2(ends, O_CLOEXEC) == 0, "cannot make a pipe: {}", std::strerror(errno));
  const Fd from(ends[0]);
  Fd to(ends[1]);
  const pid_t launcher = ::getpid();
  const pid_t pid = ::fork();
  check(Exit::distributed, pid >= 0, "cannot start a process: {}", std::strerror(errno));
  if (pid == 0) become(command, words.data(), variables.data(), files, mask, launcher, to.get(), guardian);
  ::setpgid(pid, pid);  // in both, so that it is done whoever runs first
  to.reset();
  int reason = 0;
  if (retry_eintr([&] { return ::read(from.get(), &reason, sizeof reason); }) == sizeof reason) {
    ::waitpid(pid, nullptr, 0);
    fail(Exit::usage, "cannot run {}: {}", command.path, std::strerror(reason));
  }
  return pid;
}

void adopt_orphans() { ::prctl(PR_SET_CHILD_SUBREAPER, 1); }

std::vector<pid_t> descendants(pid_t except) {
  std::vector<pid_t> found, parents{::getpid()};
  while (!parents.empty()) {
    const pid_t parent = parents.back();
    parents.pop_back();
    for (const pid_t child : children_of(parent)) {
      if (child == except) continue;
      found.push_back(child);
      parents.push_back(child);
    }
  }
  return found;
}

void kill_descendants(pid_t except) {
  for (const double end = now() + 5; now() < end;) {
    const auto left = descendants(except);
    if (left.empty()) return;
    for (const pid_t pid : left) ::kill(pid, SIGKILL);
    for (const pid_t pid : left) ::waitpid(pid, nullptr, WNOHANG);
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
}

char state_of(pid_t pid) { return info_of(pid).state; }

}  // namespace trainer::launch
