#include "lib/comm/watchdog.h"

#include <algorithm>
#include <charconv>
#include <chrono>

#include "lib/base/board.h"
#include "lib/base/log.h"
#include "lib/base/system.h"

namespace trainer::comm {
namespace {

using namespace std::chrono_literals;

constexpr auto tick = 100ms;
constexpr double soon = 0.1;       // seconds that nobody needs to look at
constexpr double slow = 1.0;       // seconds after which the others are told and asked
constexpr auto most_thought = 5s;  // after which a failed wait ends without knowing more

/// "812 rest": what a note begins with.
std::pair<uint64_t, std::string> split_number(const std::string& note) {
  uint64_t number = 0;
  const auto parsed = std::from_chars(note.data(), note.data() + note.size(), number);
  std::string rest(parsed.ptr, note.data() + note.size());
  return {number, rest.empty() ? rest : rest.substr(1)};
}

}  // namespace

std::string Watchdog::Wait::str() const { return fmt::format("{} (#{})", text, sequence); }

Watchdog::Watchdog(Rendezvous& rendezvous, double timeout, std::function<bool(int)> lost,
                   std::function<void()> interrupt)
    : rendezvous_(rendezvous), timeout_(timeout), lost_(std::move(lost)), interrupt_(std::move(interrupt)) {
  thread_ = std::thread([this] { run(); });
}

Watchdog::~Watchdog() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

void Watchdog::begin(uint64_t sequence, const std::string& text) {
  const std::lock_guard lock(mutex_);
  if (verdict_) throw Error(*verdict_);
  running_ = true;
  since_ = now();
  sequence_ = sequence;
  text_ = &text;
}

void Watchdog::wait_for(int peer) {
  peer_.store(peer, std::memory_order_relaxed);
  waits_.fetch_add(1, std::memory_order_relaxed);
}

void Watchdog::end() {
  const std::lock_guard lock(mutex_);
  running_ = false;
}

void Watchdog::resume(int peer, bool failed) {
  Lock lock(mutex_);
  if (failed && !verdict_) {
    failed_ = true;
    changed_.notify_all();
    changed_.wait_for(lock, most_thought, [&] { return verdict_.has_value(); });
    if (!verdict_) {
      const Wait wait{sequence_, 0, *text_, peer, now() - since_, true};
      verdict_ = wait.seconds < timeout_ ? connection_lost(wait) : timed_out(wait, rendezvous_.name(peer));
      rendezvous_.mark_failed();
    }
  }
  if (!verdict_) return;
  running_ = false;
  throw Error(*verdict_);
}

void Watchdog::give_up(const std::string& why) {
  const std::lock_guard lock(mutex_);
  const std::string self = rendezvous_.name(rendezvous_.self().rank);
  if (!verdict_) judge(Error(Exit::distributed, why), fmt::format("{} gave up: {}", self, why));
}

/// With the lock held.
void Watchdog::judge(const Error& error, const std::string& to_others) {
  verdict_ = error;
  rendezvous_.mark_failed();
  farewell_ = fmt::format("{} {}", static_cast<int>(error.code()), to_others);
  interrupt_();
  changed_.notify_all();
}

void Watchdog::run() {
  Lock lock(mutex_);
  while (true) {
    changed_.wait_for(lock, tick, [&] { return stopping_ || farewell_ || (failed_ && !verdict_); });
    if (farewell_) {
      const std::string note = *std::exchange(farewell_, std::nullopt);
      lock.unlock();
      try {
        if (store_works_) rendezvous_.leave_note("failed", note);
      } catch (const Error& error) {
        log::debug("the other ranks are not told: {}", error.what());
      }
      lock.lock();
    }
    if (stopping_) return;
    if (running_ && !verdict_) look(lock);
  }
}

void Watchdog::look(Lock& lock) {
  Wait wait{sequence_, waits_, {}, peer_, now() - since_, failed_};
  if (wait.seconds < soon && !wait.failed) return;
  wait.text = *text_;
  lock.unlock();
  const std::optional<Error> error = investigate(wait);
  lock.lock();
  if (error && running_ && !verdict_ && sequence_ == wait.sequence) judge(*error, error->what());
}

std::optional<Error> Watchdog::investigate(const Wait& wait) {
  if (wait.seconds >= timeout_) return late(wait);
  if (wait.failed) return gone(wait);
  if (lost_(wait.peer)) {
    // What the peer had sent before may just have completed the wait: only a second look is sure.
    if (lost_in_ == wait.number) return gone(wait);
    lost_in_ = wait.number;
    return {};
  }
  if (wait.seconds < slow || now() < next_question_ || !store_works_) return {};
  next_question_ = now() + slow / 2;
  try {
    return ask_store(wait);
  } catch (const Error& error) {
    log::debug("waiting without a store: {}", error.what());
    store_works_ = false;
    return {};
  }
}

std::optional<Error> Watchdog::ask_store(const Wait& wait) {
  if (noted_in_ != wait.sequence) {
    rendezvous_.leave_note("waits", fmt::format("{} {}", wait.sequence, wait.text));
    noted_in_ = wait.sequence;
  }
  if (auto error = error_of(wait.peer)) return error;
  const auto note = rendezvous_.read_note("waits", wait.peer);
  if (!note) return {};
  const auto [sequence, text] = split_number(*note);
  if (sequence != wait.sequence || text == wait.text) return {};
  const bool first = rendezvous_.self().rank < wait.peer;
  const auto side = [](int rank, const std::string& calls) { return fmt::format("rank {} {}", rank, calls); };
  const std::string mine = side(rendezvous_.self().rank, wait.text), other = side(wait.peer, text);
  return Error(Exit::distributed, fmt::format("ranks call different things (#{}): {}, {}", sequence,
                                              first ? mine : other, first ? other : mine));
}

/// What a rank has said before it gave up.
std::optional<Error> Watchdog::error_of(int rank) {
  const auto note = rendezvous_.read_note("failed", rank);
  if (!note) return {};
  const auto [code, text] = split_number(*note);
  return Error(static_cast<Exit>(code), text);
}

Error Watchdog::gone(const Wait& wait) {
  try {
    if (store_works_) {
      if (auto error = error_of(wait.peer)) return *error;
    }
  } catch (const Error& error) {
    log::debug("nothing is known of rank {}: {}", wait.peer, error.what());
  }
  return connection_lost(wait);
}

Error Watchdog::connection_lost(const Wait& wait) const {
  return Error(Exit::distributed,
               fmt::format("{} is gone: connection lost in {}", rendezvous_.name(wait.peer), wait.str()));
}

Error Watchdog::timed_out(const Wait& wait, const std::string& ranks) const {
  return Error(Exit::watchdog, fmt::format("{} has waited {:g} s for {}", wait.str(), timeout_, ranks));
}

/// Of the ranks that are waited for, those that are stopped or have not begun this collective.
Error Watchdog::late(const Wait& wait) {
  const std::vector<board::Entry> board = board::read();
  const auto entry = [&](int rank) { return std::ranges::find(board, rank, &board::Entry::rank); };
  const auto has_come = [&](int rank) {
    if (entry(rank) != board.end()) return entry(rank)->sequence >= wait.sequence;
    try {
      const auto note = store_works_ ? rendezvous_.read_note("waits", rank) : std::nullopt;
      return note && split_number(*note).first >= wait.sequence;
    } catch (const Error&) {
      return false;
    }
  };
  std::vector<int> candidates, named;
  for (int r = wait.peer; r < rendezvous_.self().size; ++r) {
    if (r != rendezvous_.self().rank) candidates.push_back(r);
  }
  std::ranges::copy_if(candidates, std::back_inserter(named),
                       [&](int r) { return rendezvous_.is_stopped(r); });
  const bool stopped = !named.empty();
  if (!stopped) {
    std::ranges::copy_if(candidates, std::back_inserter(named), [&](int r) { return !has_come(r); });
  }
  if (named.empty()) named = {wait.peer};  // it has come, but does not go on

  constexpr size_t most = 8;
  std::string ranks;
  for (size_t i = 0; i < std::min(named.size(), most); ++i) {
    ranks += fmt::format("{}{}", i == 0 ? "" : ", ", rendezvous_.name(named[i]));
    if (stopped) ranks += ", which is stopped";
    if (entry(named[i]) != board.end()) ranks += fmt::format(" [{}]", board::describe(*entry(named[i])));
  }
  if (named.size() > most) ranks += fmt::format(" and {} more", named.size() - most);
  return timed_out(wait, ranks);
}

}  // namespace trainer::comm
