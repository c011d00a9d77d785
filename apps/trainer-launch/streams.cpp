#include "apps/trainer-launch/streams.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>

#include "lib/base/system.h"

namespace trainer::launch {
namespace {

namespace fs = std::filesystem;
constexpr int out_bit = 1, err_bit = 2;

Fd open_log(const fs::path& path) {
  Fd fd(retry_eintr([&] { return ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666); }));
  check(Exit::usage, fd.valid(), "{}: cannot write the log: {}", path.string(), std::strerror(errno));
  return fd;
}

/// DIR/<run id>/attempt_N/<local rank>; on several nodes, which may share DIR, node_K comes before attempt_N.
fs::path make_log_folder(const Options& options, const Plan& plan, int local_rank) {
  fs::path folder = fs::path(options.log_dir) / options.rdzv_id;
  if (plan.nodes > 1) folder /= fmt::format("node_{}", plan.node);
  folder /= fmt::format("attempt_{}", plan.attempt);
  folder /= std::to_string(local_rank);
  std::error_code error;
  fs::create_directories(folder, error);
  check(Exit::usage, !error, "--log-dir: cannot make {}: {}", folder.string(), error.message());
  return folder;
}

std::string prefix_of(const Options& options, const Worker& worker) {
  std::string text = options.prefix;
  if (text.empty()) return options.workers > 1 ? fmt::format("[rank {}] ", worker.rank) : "";
  const std::pair<std::string, std::string> macros[] = {{"${role_name}", options.role},
                                                        {"${local_rank}", std::to_string(worker.local_rank)},
                                                        {"${rank}", std::to_string(worker.rank)},
                                                        {"${hostname}", host_name()}};
  for (const auto& [name, value] : macros) {
    for (size_t at = 0; (at = text.find(name, at)) != text.npos; at += value.size())
      text.replace(at, name.size(), value);
  }
  return text;
}

/// A terminal for a worker that may draw progress on ours; its end for the worker. Invalid if there are none.
Fd open_terminal(Fd& ours) {
  ours.reset(::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC));
  if (!ours.valid() || ::grantpt(ours.get()) != 0 || ::unlockpt(ours.get()) != 0) return {};
  char name[64]{};
  if (::ptsname_r(ours.get(), name, sizeof name) != 0) return {};
  Fd theirs(::open(name, O_RDWR | O_NOCTTY | O_CLOEXEC));
  termios settings{};
  if (theirs.valid() && ::tcgetattr(theirs.get(), &settings) == 0) {
    ::cfmakeraw(&settings);  // our own terminal does what is to be done with newlines
    ::tcsetattr(theirs.get(), TCSANOW, &settings);
  }
  return theirs;
}

Fd open_pipe(Fd& ours) {
  int ends[2] = {-1, -1};
  check(Exit::distributed, ::pipe2(ends, O_CLOEXEC) == 0, "cannot make a pipe: {}", std::strerror(errno));
  ours.reset(ends[0]);
  return Fd(ends[1]);
}

}  // namespace

WorkerEnds open_streams(const Options& options, const Plan& plan, const std::string& scratch, Worker& worker,
                        Output& output) {
  const int redirected = options.redirects.of(worker.local_rank), teed = options.tee.of(worker.local_rank);
  const int to_file = redirected | teed;
  const bool wanted = options.shown_ranks.empty() || options.shown_ranks.contains(worker.local_rank);
  if (!options.log_dir.empty()) {
    worker.log_folder = make_log_folder(options, plan, worker.local_rank).string();
    worker.error_file = worker.log_folder + "/error.json";
  } else if (!scratch.empty()) {
    worker.error_file = fmt::format("{}/error-{}-{}.json", scratch, plan.attempt, worker.local_rank);
  }
  std::error_code ignored;
  if (!worker.error_file.empty()) fs::remove(worker.error_file, ignored);  // of an earlier run

  const auto stream = [&](bool error) {
    const int bit = error ? err_bit : out_bit;
    Stream s;
    s.local_rank = worker.local_rank;
    s.error = error;
    s.shown = wanted && (redirected & ~teed & bit) == 0;
    s.raw = options.workers == 1;
    s.prefix = prefix_of(options, worker);
    if ((to_file & bit) != 0)
      s.file = open_log(fs::path(worker.log_folder) / (error ? "stderr.log" : "stdout.log"));
    return s;
  };

  WorkerEnds ends;
  ends.in.reset(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  if (options.workers == 1 && ::isatty(STDIN_FILENO) == 0)
    ends.in.reset();  // a lone worker may read our input
  Stream err = stream(true);
  // The first worker may draw progress: it gets a terminal if we are on one.
  if (worker.local_rank == 0 && err.shown && is_terminal(STDERR_FILENO)) {
    ends.err = open_terminal(err.source);
    err.terminal = err.raw = ends.err.valid();
  }
  if (err.terminal && to_file == 0 && is_terminal(STDOUT_FILENO)) {
    ends.out.reset(::fcntl(ends.err.get(), F_DUPFD_CLOEXEC, 0));  // in the order in which it was written
  } else {
    Stream out = stream(false);
    ends.out = open_pipe(out.source);
    output.add(std::move(out));
  }
  if (!err.terminal) ends.err = open_pipe(err.source);
  output.add(std::move(err));
  return ends;
}

void pass_on_terminal_size(const Output& output) {
  winsize size{};
  if (::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
    output.resize(size.ws_col, size.ws_row);
}

}  // namespace trainer::launch
