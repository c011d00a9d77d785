#include "lib/base/signals.h"

#include <sys/wait.h>
#include <unistd.h>

#include <csignal>

#include "tests/catch.h"

using namespace trainer;

namespace {

/// The exit code of a child that runs `f`; 128 + N if signal N ended it.
template <class F>
int in_child(F f) {
  const pid_t child = ::fork();
  if (child == 0) {
    signals::install();
    _exit(f());
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

}  // namespace

TEST_CASE("signals become requests: one to save is handed out once, one to stop stays") {
  CHECK(in_child([] {
          if (signals::take().stop != 0 || signals::take().save) return 1;
          ::raise(SIGUSR1);
          if (!signals::take().save || signals::take().save) return 2;
          ::raise(SIGINT);
          if (signals::take().stop != SIGINT) return 3;
          ::raise(SIGTERM);  // the same request by another way
          return signals::take().stop == SIGINT ? 0 : 4;
        }) == 0);
}

TEST_CASE("a second signal to stop ends the process at once") {
  for (const auto& [signal, code] : {std::pair(SIGTERM, 143), std::pair(SIGINT, 130)}) {
    const int second = signal;
    CHECK(in_child([second] {
            ::raise(SIGTERM);
            ::usleep(80'000);
            ::raise(second);
            return 0;
          }) == code);
  }
}
