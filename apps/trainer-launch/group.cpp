#include "apps/trainer-launch/group.h"

#include <poll.h>
#include <sys/wait.h>

#include <algorithm>
#include <cmath>
#include <ctime>

#include "apps/trainer-launch/environment.h"
#include "apps/trainer-launch/spawn.h"
#include "apps/trainer-launch/streams.h"
#include "lib/base/log.h"
#include "lib/base/system.h"

namespace trainer::launch {
namespace {

/// Seconds that workers have after the failure of another one: there is nothing that they could save
/// together.
constexpr double failure_grace = 1;
/// A worker that blames another one (exit code 6) is often faster than the one that is to blame.
constexpr double blame_time = 0.3;
/// What cannot be killed (it hangs in the kernel) is left behind after so long.
constexpr double give_up_time = 10;

bool blames_another(const Worker& w) { return w.code() == static_cast<int>(Exit::distributed); }

}  // namespace

Group::Group(const Options& options, const Command& command, const Plan& plan, Nodes& nodes,
             Guardian& guardian, const std::string& scratch)
    : options_(options),
      command_(command),
      plan_(plan),
      nodes_(nodes),
      guardian_(guardian),
      scratch_(scratch),
      signals_(options.signals) {}

Group::~Group() {
  for (const Worker& w : workers_) {
    if (w.running) ::kill(-w.pid, SIGKILL);
  }
  kill_descendants(guardian_.pid());
  for (const Worker& w : workers_) guardian_.forget(w.pid);
}

Group::Result Group::run() {
  start_all();
  const auto over = [&] {
    const bool decided = stop_at_ == 0 || stopped_at_ > 0;
    return all_ended() && decided && state_ != State::waiting_for_nodes;
  };
  while (!over()) {
    poll_once();
    if (state_ == State::running && all_ended() && stop_at_ == 0 && !all_done_) {
      if (plan_.nodes == 1) break;
      state_ = State::waiting_for_nodes;
      nodes_.done();
    }
    if (killed_at_ > 0 && now() > killed_at_ + give_up_time) break;
  }
  return conclude();
}

void Group::start_all() {
  // A worker that sees LOCAL_RANK 0 whoever it is has no slot of its own.
  if (!scratch_.empty() && !options_.virtual_local_rank) {
    board_ = fmt::format("{}/board-{}", scratch_, plan_.attempt);
    board::create(board_, options_.workers, plan_.first_rank);
  }
  for (int local_rank = 0; local_rank < options_.workers; ++local_rank) {
    Worker w;
    w.local_rank = local_rank;
    w.rank = plan_.first_rank + local_rank;
    const WorkerEnds ends = open_streams(options_, plan_, scratch_, w, output_);
    Command command = command_;
    if (options_.pass_local_rank) command.words.push_back(fmt::format("--local_rank={}", local_rank));
    const auto environment = environment_of(options_, plan_, local_rank, w.error_file, board_);
    w.started = now();
    w.pid = spawn(command, environment, ends.files(), signals_.mask_before(), guardian_);
    w.running = true;
    workers_.push_back(w);
  }
  pass_on_terminal_size(output_);
}

void Group::poll_once() {
  const double time = now();
  double wait = output_.next_release(time);
  for (const double when :
       {stopped_at_ == 0 ? stop_at_ : 0.0, killed_at_ == 0 ? kill_at_ : killed_at_ + give_up_time}) {
    if (when > 0) wait = std::min(wait, std::max(0.0, when - time));
  }
  std::vector<pollfd> entries{{signals_.fd(), POLLIN, 0}, {nodes_.fd(), POLLIN, 0}};
  for (const bool error : {false, true}) {
    const Sink& sink = console_.sink(error);
    entries.push_back({sink.pending() > 0 ? sink.fd() : -1, POLLOUT, 0});
  }
  const size_t streams = entries.size();
  output_.poll_on(entries);
  const int timeout = wait > 1e6 ? -1 : static_cast<int>(std::ceil(wait * 1e3));
  if (::poll(entries.data(), entries.size(), timeout) < 0 && errno != EINTR)
    fail(Exit::internal, "poll: error {}", errno);

  for (const bool error : {false, true}) console_.sink(error).flush();
  for (size_t i = streams; i < entries.size(); ++i) {
    if (entries[i].revents != 0) output_.read_from(entries[i].fd, now());
  }
  while (const auto signal = signals_.next()) on_signal(*signal);
  if (entries[1].fd >= 0 && entries[1].revents != 0) on_news(nodes_.news());
  on_deadlines();
  output_.release(now());
}

void Group::on_signal(int signal) {
  if (signal == SIGCHLD) return reap();
  if (signal == SIGWINCH) return pass_on_terminal_size(output_);
  if (signals_.ends_run(signal)) {
    if (state_ == State::stopping) return kill_all();  // the second time, or the workers are ending anyway
    News news;
    news.kind = News::Kind::signal;
    news.signal = signal;
    nodes_.announce(news);
    return pass_on(signal);
  }
  for (const Worker& w : workers_) {
    if (w.running) ::kill(w.pid, signal);
  }
}

void Group::on_news(const News& news) {
  if (news.kind == News::Kind::all_done) {
    all_done_ = true;
    if (state_ == State::waiting_for_nodes) state_ = State::running;
  } else if (news.kind == News::Kind::signal && !news.ours && signal_ == 0 && state_ != State::stopping) {
    pass_on(news.signal);
  } else if (news.kind == News::Kind::failure && !news.ours && state_ != State::stopping) {
    others_failed_ = true;
    output_.hold();
    stop_after_failure();
  }
}

void Group::on_deadlines() {
  if (stop_at_ > 0 && stopped_at_ == 0 && now() >= stop_at_) {
    News news;
    news.kind = News::Kind::failure;
    news.ours = true;
    stop_after_failure();  // first: the others may not be there any more to be told
    others_failed_ = !nodes_.announce(news).ours;
  }
  if (kill_at_ > 0 && killed_at_ == 0 && now() >= kill_at_) kill_all();
}

void Group::reap() {
  for (int status = 0;;) {
    const pid_t pid = ::waitpid(-1, &status, WNOHANG);
    if (pid <= 0) return;
    const auto found =
        std::find_if(workers_.begin(), workers_.end(), [&](const Worker& w) { return w.pid == pid; });
    if (found == workers_.end()) continue;  // an orphan of a worker
    timespec wall{};
    ::clock_gettime(CLOCK_REALTIME, &wall);
    found->running = false;
    found->status = status;
    found->ended = now();
    found->ended_wall = static_cast<double>(wall.tv_sec);
    found->ended_nanoseconds = wall.tv_nsec;
    if (::kill(-pid, 0) != 0) guardian_.forget(pid);  // its group is empty, and the number may be given away
    output_.finish(found->local_rank, now());
    if (!found->succeeded() && state_ == State::running) on_failure(*found);
  }
}

void Group::on_failure(const Worker& w) {
  if (stop_at_ == 0) {
    output_.hold();
    snapshot_ = Snapshot::take(board_, workers_);
    stop_at_ = now() + blame_time;
  }
  if (!blames_another(w)) stop_at_ = std::min(stop_at_, now());
}

void Group::stop_after_failure() {
  state_ = State::stopping;
  stopped_at_ = now();
  kill_at_ = stopped_at_ + std::min(failure_grace, options_.shutdown_timeout);
  for (const Worker& w : workers_) {
    ::kill(-w.pid, SIGTERM);
    ::kill(-w.pid, SIGCONT);  // one that was stopped would not notice
  }
}

void Group::pass_on(int signal) {
  signal_ = signal;
  state_ = State::stopping;
  stopped_at_ = now();
  kill_at_ = stopped_at_ + options_.shutdown_timeout;
  for (const Worker& w : workers_) {
    if (!w.running) continue;
    // To the worker itself: what it has started (loaders) is needed for saving.
    ::kill(w.pid, signal);
    ::kill(-w.pid, SIGCONT);
  }
}

void Group::kill_all() {
  killed_at_ = now();
  for (const Worker& w : workers_) ::kill(-w.pid, SIGKILL);
}

bool Group::all_ended() const {
  return std::none_of(workers_.begin(), workers_.end(), [](const Worker& w) { return w.running; });
}

/// It failed, and not because we or a signal from outside ended it.
bool Group::failed_by_itself(const Worker& w) const {
  if (w.running || w.succeeded()) return false;
  if (stopped_at_ == 0 || w.ended < stopped_at_) return true;
  if (w.signal() == SIGKILL) return killed_at_ == 0 || w.ended < killed_at_;
  if (signal_ == 0)
    return w.signal() != 0 && w.signal() != SIGTERM;  // exit codes then follow from our SIGTERM
  return w.signal() != signal_ && w.code() != 128 + signal_ &&
         w.code() != static_cast<int>(Exit::terminated) && w.code() != static_cast<int>(Exit::interrupted);
}

const Worker* Group::root_cause() const {
  const Worker* root = nullptr;
  for (const Worker& w : workers_) {
    if (!failed_by_itself(w)) continue;
    // The first by time, but rather one that blames no other.
    if (root == nullptr ||
        std::pair(blames_another(w), w.ended) < std::pair(blames_another(*root), root->ended))
      root = &w;
  }
  return root;
}

Group::Result Group::conclude() {
  kill_descendants(guardian_.pid());
  for (const Worker& w : workers_) output_.finish(w.local_rank, now());
  for (const Worker& w : workers_) {
    if (w.running) log::warn("rank {} (pid {}) cannot be killed: it hangs in the kernel", w.rank, w.pid);
  }
  if (others_failed_) {
    output_.drop_held();
    const Verdict verdict = nodes_.hear_verdict();
    print(verdict.report);
    return {verdict.code, !verdict.permanent};
  }
  if (const Worker* root = root_cause()) return conclude_failure(*root);
  output_.show_held();
  console_.end_drawing();
  console_.drain();
  if (signal_ == 0) return {};
  std::string late;
  for (const Worker& w : workers_) {
    if (w.signal() == SIGKILL) late += fmt::format("{}{}", late.empty() ? "" : ", ", w.rank);
  }
  if (!late.empty())
    log::warn("rank {} did not end within {:.1f} s of {} and was killed", late, killed_at_ - stopped_at_,
              signal_name(signal_));
  const bool well =
      std::all_of(workers_.begin(), workers_.end(), [](const Worker& w) { return w.succeeded(); });
  return {well ? 0 : 128 + signal_};
}

Group::Result Group::conclude_failure(const Worker& root) {
  output_.show_held_of(root.local_rank);
  const std::string report = report_of(root, {workers_, plan_, command_, output_, memory_, snapshot_});
  write_error_file(root, report);
  const bool permanent =
      root.code() == static_cast<int>(Exit::usage) || root.code() == static_cast<int>(Exit::data);
  const int code = root.signal() != 0 ? static_cast<int>(Exit::distributed) : root.code();
  if (signal_ == 0) nodes_.give_verdict({code, permanent, report});
  print(report);
  return {code, !permanent && signal_ == 0};
}

void Group::print(const std::string& report) {
  console_.end_drawing();
  std::string_view rest = report;
  while (!rest.empty()) {
    std::string_view line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(rest.size(), line.size() + 1));
    const bool colored = line.starts_with("error: ") && wants_color(STDERR_FILENO);
    if (colored) line.remove_prefix(7);
    console_.line(true, colored ? "\x1b[1;31merror:\x1b[0m " : "", line);
  }
  console_.drain();
}

}  // namespace trainer::launch
