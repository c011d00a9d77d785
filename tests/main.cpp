#if __has_include(<catch2/catch_session.hpp>)
#include <catch2/catch_session.hpp>
#else
#define CATCH_CONFIG_RUNNER
#include <catch2/catch.hpp>
#endif

#include <csignal>
#include <cstdlib>

int main(int argc, char** argv) {
  ::setenv("XDG_CONFIG_HOME", "/dev/null",
           1);                    // nobody's own defaults: for all programs that tests start, too
  std::signal(SIGPIPE, SIG_IGN);  // as trainer does: a peer that is gone is an error of a write
  return Catch::Session().run(argc, argv);
}
