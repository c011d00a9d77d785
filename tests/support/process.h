// Programs as their users run them: words in, exit code, stdout and stderr out.
#pragma once

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "tests/temp_folder.h"

/// What a program left behind.
struct Outcome {
  int code = -1;  ///< exit code; 128 + N if signal N ended it
  std::string out, err;
  int64_t peak_bytes = 0;  ///< of resident memory
};

/// A running program whose output goes to files, so that it never waits for a reader. Killed, if it still
/// runs, at the end of its scope.
class Process {
 public:
  /// words[0] is the program, looked up in PATH unless it has a slash. `environment`: NAME=VALUE, added to
  /// ours.
  explicit Process(const std::vector<std::string>& words, const std::vector<std::string>& environment = {}) {
    posix_spawn_file_actions_t files;
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    constexpr int flags = O_WRONLY | O_CREAT | O_TRUNC;
    posix_spawn_file_actions_addopen(&files, STDOUT_FILENO, (folder_ / "out").c_str(), flags, 0600);
    posix_spawn_file_actions_addopen(&files, STDERR_FILENO, (folder_ / "err").c_str(), flags, 0600);
    std::vector<std::string> variables = environment;
    for (char** v = ::environ; *v != nullptr; ++v) variables.emplace_back(*v);
    const int error = posix_spawnp(&pid_, words[0].c_str(), &files, nullptr, pointers(words).data(),
                                   pointers(variables).data());
    posix_spawn_file_actions_destroy(&files);
    if (error != 0) throw std::runtime_error("cannot run " + words[0]);
  }
  ~Process() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  pid_t pid() const { return pid_; }
  std::string out() const { return read("out"); }
  std::string err() const { return read("err"); }

  /// Throws if it takes longer than `seconds`.
  Outcome wait(double seconds = 60) {
    using clock = std::chrono::steady_clock;
    const auto end = clock::now() + std::chrono::duration<double>(seconds);
    struct rusage used {};
    for (int status = 0; clock::now() < end; std::this_thread::sleep_for(std::chrono::milliseconds(2))) {
      if (::wait4(pid_, &status, WNOHANG, &used) != pid_) continue;
      pid_ = 0;
      return {WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status), out(), err(),
              used.ru_maxrss * 1024};
    }
    throw std::runtime_error("the program did not end in time; its stderr: " + err());
  }

 private:
  static std::vector<char*> pointers(const std::vector<std::string>& words) {
    std::vector<char*> all;
    for (const std::string& word : words) all.push_back(const_cast<char*>(word.c_str()));
    all.push_back(nullptr);
    return all;
  }
  std::string read(const char* name) const {
    std::ifstream file(folder_ / name, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }

  TempFolder folder_;
  pid_t pid_ = 0;
};
