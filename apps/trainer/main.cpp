// trainer: trains vision models from YAML. Without a subcommand it trains.
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <exception>

#include "apps/cli/parse.h"
#include "apps/trainer/command.h"
#include "lib/base/crash.h"
#include "lib/base/log.h"

namespace trainer::app {

Command root_command(const std::vector<std::string>& words) {
  Command root = train_command();
  root.subcommands = {devices_command(), models_command(),     inspect_command(),   config_command(),
                      predict_command(), bench_command(words), completion_command()};
  root.subcommands.push_back(man_command(root.subcommands));
  return root;
}

namespace {

/// Whether OpenMP is used. What only prints is spared a second start, half of its time; bench computes nothing itself,
/// and what it starts shall find the environment as it is.
bool computes(char** argv) {
  if (argv[0] == nullptr || argv[1] == nullptr) return true;
  for (const std::string_view command : {"bench", "completion", "config", "man", "models"}) {
    if (argv[1] == command) return false;
  }
  for (char** word = argv + 1; *word != nullptr; ++word) {
    for (const std::string_view flag :
         {"--dump-config", "--dump_config", "--explain", "--help", "--version"}) {
      if (*word == flag) return false;
    }
  }
  return true;
}

/// OpenMP's threads wait for each other by spinning, by default for milliseconds. On a machine that others
/// use too, they spin where the thread that they wait for would run, and a step takes several times as long
/// (docs/benchmarks.md). libgomp reads its limit from the environment, once, before main(): so the program
/// starts itself again, with a lower one.
void limit_spinning(char** argv) {
  if (!computes(argv)) return;
  for (const char* chosen : {"GOMP_SPINCOUNT", "OMP_WAIT_POLICY"}) {
    if (std::getenv(chosen) != nullptr) return;
  }
  setenv("GOMP_SPINCOUNT", "4000", 1);
  char path[4096];  // by its own name, for ps and pgrep
  const ssize_t length = readlink("/proc/self/exe", path, sizeof path - 1);
  if (length <= 0) return;
  path[length] = '\0';
  execv(path, argv);  // returns only if it failed: then it is as it was
}

}  // namespace
}  // namespace trainer::app

int main(int argc, char** argv) {
  using trainer::Exit;
  trainer::app::limit_spinning(argv);
  trainer::install_crash_handler();
  std::signal(SIGPIPE, SIG_IGN);  // a closed pipe is an error of a write, not the end of a training
  std::signal(SIGUSR1,
              SIG_IGN);  // "save": there is nothing to save before a run has begun (lib/base/signals.h)
  try {
    const std::vector<std::string> words(argv + 1, argv + argc);
    return trainer::cli::run(trainer::app::root_command(words), words);
  } catch (const trainer::Error& e) {
    trainer::log::error("{}", e.what());
    return static_cast<int>(e.code());
  } catch (const std::bad_alloc&) {
    trainer::log::error("out of memory");
  } catch (const std::exception& e) {
    trainer::log::error("{}", e.what());
  }
  return static_cast<int>(Exit::internal);
}
