#include "lib/base/crash.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <string>

#include "tests/catch.h"
#include "tests/temp_folder.h"

namespace {

volatile bool endless = true;

[[gnu::noinline]] int overflow(volatile int* p) {
  volatile int frame[1000];
  frame[0] = *p;
  return endless ? overflow(frame) + frame[0] : 0;
}

/// stderr of a process that installs the handler and runs `crash`, and the signal that ended it.
template <class F>
std::pair<std::string, int> crash_output(F&& crash) {
  const TempFolder folder;
  const std::string file = folder / "err";
  const pid_t pid = ::fork();
  if (pid == 0) {
    const rlimit none{0, 0};
    ::setrlimit(RLIMIT_CORE, &none);
    for (const int signal : {SIGSEGV, SIGABRT}) ::signal(signal, SIG_DFL);  // Catch2 has handlers of its own
    ::dup2(::open(file.c_str(), O_WRONLY | O_CREAT, 0600), STDERR_FILENO);
    trainer::install_crash_handler();
    crash();
    ::_exit(0);
  }
  int status = 0;
  ::waitpid(pid, &status, 0);
  std::ifstream in(file);
  return {{std::istreambuf_iterator<char>(in), {}}, WIFSIGNALED(status) ? WTERMSIG(status) : 0};
}

}  // namespace

TEST_CASE("crash: the signal and a backtrace, and then its usual effect") {
  const auto [text, signal] = crash_output([] { *reinterpret_cast<volatile int*>(0x10) = 1; });
  CHECK(signal == SIGSEGV);
  CHECK(text.starts_with("error: crashed with SIGSEGV (invalid memory access) at address 0x10; "));
  CHECK(std::count(text.begin(), text.end(), '\n') >= 2);
  const auto [aborted, abort_signal] = crash_output([] { ::abort(); });
  CHECK(abort_signal == SIGABRT);
  CHECK(aborted.starts_with("error: crashed with SIGABRT; "));
}

TEST_CASE("crash: even of an endless recursion") {
  const auto [text, signal] = crash_output([] {
    volatile int zero = 0;
    overflow(&zero);
  });
  CHECK(signal == SIGSEGV);
  CHECK(text.starts_with("error: crashed with SIGSEGV"));
}
