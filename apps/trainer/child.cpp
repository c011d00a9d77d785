#include "apps/trainer/child.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <string_view>
#include <thread>

#include "lib/base/error.h"
#include "lib/base/signals.h"

namespace trainer::app {
namespace {

/// How often it is asked whether the child has ended. It measures itself, so this costs no precision.
constexpr auto interval = std::chrono::milliseconds(10);

std::string content(const Fd& file) {
  struct stat info {};
  ::fstat(file.get(), &info);
  std::string text(static_cast<size_t>(info.st_size), '\0');
  const ssize_t length = retry_eintr([&] { return ::pread(file.get(), text.data(), text.size(), 0); });
  text.resize(static_cast<size_t>(std::max<ssize_t>(length, 0)));
  return text;
}

std::vector<std::string> variables(const std::vector<std::pair<std::string, std::string>>& added) {
  std::vector<std::string> all;
  for (const auto& [name, value] : added) all.push_back(name + '=' + value);
  for (char** v = ::environ; *v != nullptr; ++v) {
    const std::string_view variable = *v;
    const auto replaced = [&](const auto& a) { return variable.starts_with(a.first + '='); };
    if (std::ranges::none_of(added, replaced)) all.emplace_back(variable);
  }
  return all;
}

std::vector<char*> pointers(const std::vector<std::string>& words) {
  std::vector<char*> all;
  for (const std::string& word : words) all.push_back(const_cast<char*>(word.c_str()));
  all.push_back(nullptr);
  return all;
}

struct Ends {
  int out, err, report;
};

/// Between fork and exec: system calls only.
[[noreturn]] void become(char* const* words, char* const* environment, pid_t parent, Ends ends) {
  ::setpgid(0, 0);  // a terminal's Ctrl-C reaches the parent only, which ends the whole group
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) ::_exit(1);  // it died before the line above
  ::dup2(::open("/dev/null", O_RDONLY), STDIN_FILENO);
  ::dup2(ends.out, STDOUT_FILENO);
  ::dup2(ends.err, STDERR_FILENO);
  for (const int signal : {SIGPIPE, SIGUSR1}) ::signal(signal, SIG_DFL);  // main.cpp ignores them
  ::execvpe(words[0], words, environment);
  const int reason = errno;
  (void)!::write(ends.report, &reason, sizeof reason);
  ::_exit(127);
}

/// The process group of a child, killed unless the child was seen to end.
class Group {
 public:
  explicit Group(pid_t pid) : pid_(pid) {}
  ~Group() {
    if (pid_ == 0) return;
    ::kill(-pid_, SIGKILL);
    retry_eintr([this] { return ::waitpid(pid_, nullptr, 0); });
  }
  Group(const Group&) = delete;
  Group& operator=(const Group&) = delete;

  int wait() {
    int status = 0;
    while (retry_eintr([&] { return ::waitpid(pid_, &status, WNOHANG); }) == 0) {
      if (const int signal = signals::take().stop; signal != 0)
        fail(signal == SIGINT ? Exit::interrupted : Exit::terminated, "stopped by {}",
             signal == SIGINT ? "SIGINT" : "SIGTERM");
      std::this_thread::sleep_for(interval);
    }
    ::kill(-pid_, SIGKILL);  // what it may have left running
    pid_ = 0;
    return status;
  }

 private:
  pid_t pid_;
};

}  // namespace

Fd memory_file(const char* name) {
  Fd file(::memfd_create(name, MFD_CLOEXEC));
  check(file.valid(), "memfd_create: {}", std::strerror(errno));
  return file;
}

std::string ChildOutcome::end() const {
  return WIFEXITED(status) ? fmt::format("exit code {}", WEXITSTATUS(status))
                           : fmt::format("signal {}", WTERMSIG(status));
}

ChildOutcome run_child(const std::vector<std::string>& words,
                       const std::vector<std::pair<std::string, std::string>>& environment) {
  const std::vector<std::string> all = variables(environment);
  const auto arguments = pointers(words), values = pointers(all);
  // Memory that takes all output, so that the program never waits for a reader.
  const Fd out = memory_file("output"), err = memory_file("output");
  int ends[2] = {-1, -1};
  check(::pipe2(ends, O_CLOEXEC) == 0, "cannot make a pipe: {}", std::strerror(errno));
  const Fd from(ends[0]);
  Fd to(ends[1]);
  const pid_t parent = ::getpid();
  const pid_t pid = ::fork();
  check(pid >= 0, "cannot start a process: {}", std::strerror(errno));
  if (pid == 0) become(arguments.data(), values.data(), parent, {out.get(), err.get(), to.get()});
  ::setpgid(pid, pid);  // in both, so that it is done whoever runs first
  Group group(pid);
  to.reset();
  int reason = 0;
  if (retry_eintr([&] { return ::read(from.get(), &reason, sizeof reason); }) == sizeof reason)
    fail(Exit::usage, "cannot run {}: {}", words[0], std::strerror(reason));
  const int status = group.wait();
  return {.status = status, .out = content(out), .err = content(err)};
}

}  // namespace trainer::app
