// trainer-launch: starts the processes of a distributed run and watches over them (docs/launch.md).
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include <csignal>
#include <exception>
#include <filesystem>

#include "apps/trainer-launch/group.h"
#include "apps/trainer-launch/spawn.h"
#include "lib/base/log.h"

namespace trainer::launch {
namespace {

namespace fs = std::filesystem;

/// A folder for what the run needs and nobody afterwards: in memory, where there is room.
class Scratch {
 public:
  explicit Scratch(Guardian& guardian) {
    for (const fs::path& parent : {fs::path("/dev/shm"), fs::temp_directory_path()}) {
      std::string pattern = (parent / "trainer-launch-XXXXXX").string();
      if (::mkdtemp(pattern.data()) == nullptr) continue;
      path_ = pattern;
      guardian.clean_up(path_);
      return;
    }
    log::warn("neither /dev/shm nor {} can be written: reports will not say what the ranks did",
              fs::temp_directory_path().string());
  }
  ~Scratch() {
    std::error_code ignored;
    if (!path_.empty()) fs::remove_all(path_, ignored);
  }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

/// --redirects or --tee without --log-dir: a new folder.
void choose_log_dir(Options& options) {
  if (!options.log_dir.empty() || !(options.redirects.any() || options.tee.any())) return;
  std::string pattern = (fs::temp_directory_path() / "trainer-launch-logs-XXXXXX").string();
  check(Exit::usage, ::mkdtemp(pattern.data()) != nullptr, "cannot make {}: give --log-dir", pattern);
  options.log_dir = pattern;
  log::info("logs: {}", pattern);
}

int run(const std::vector<std::string>& words, Guardian& guardian) {
  std::optional<Options> parsed = parse_options(words);
  if (!parsed) return 0;
  Options& options = *parsed;
  const Command command = command_of(options);
  choose_log_dir(options);
  adopt_orphans();
  const Scratch scratch(guardian);
  const std::unique_ptr<Nodes> nodes = make_nodes(options);
  for (int attempt = 0;; ++attempt) {
    const Plan plan = nodes->meet(attempt);
    const Group::Result result = Group(options, command, plan, *nodes, guardian, scratch.path()).run();
    if (result.code == 0 || !result.may_repeat || attempt >= options.max_restarts) {
      if (result.code != 0 && !result.may_repeat && attempt < options.max_restarts &&
          (result.code == static_cast<int>(Exit::usage) || result.code == static_cast<int>(Exit::data)))
        log::info("not started again: exit code {} would come again", result.code);
      nodes->leave();
      return result.code;
    }
    log::info("starting all workers again (restart {} of {})", attempt + 1, options.max_restarts);
  }
}

}  // namespace
}  // namespace trainer::launch

int main(int argc, char** argv) {
  using trainer::Exit;
  const std::vector<std::string> words(argv + 1, argv + argc);
  // Whoever started us may have closed one of these; a pipe to a worker must not take its number.
  int fd = ::open("/dev/null", O_RDWR);
  while (fd >= 0 && fd <= 2) fd = ::open("/dev/null", O_RDWR);
  ::close(fd);
  std::signal(SIGPIPE, SIG_IGN);  // whoever reads our output may leave
  try {
    trainer::launch::Guardian guardian(argv);
    return trainer::launch::run(words, guardian);
  } catch (const trainer::Error& e) {
    trainer::log::error("{}", e.what());
    return static_cast<int>(e.code());
  } catch (const std::exception& e) {
    trainer::log::error("{}", e.what());
  }
  return static_cast<int>(Exit::internal);
}
