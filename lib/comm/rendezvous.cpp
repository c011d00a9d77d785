#include "lib/comm/rendezvous.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <exception>
#include <fstream>
#include <sstream>

#include "lib/base/log.h"
#include "lib/base/system.h"

namespace trainer::comm {
namespace {

constexpr double look_again = 0.2;   // seconds between two looks whether somebody has refused
constexpr double last_moment = 1.0;  // seconds for which a failed run's store can still be read

std::string link_target(const char* path) {
  std::array<char, 128> text{};
  const ssize_t n = ::readlink(path, text.data(), text.size());
  return n > 0 ? std::string(text.data(), static_cast<size_t>(n)) : "?";
}

std::string written(const Member& m) {
  return fmt::format("{} {} {} {} {}", m.rank, m.size, m.pid, m.pids, m.host);
}

Member read_member(const std::string& text) {
  Member m;
  std::istringstream in(text);
  in >> m.rank >> m.size >> m.pid >> m.pids >> m.host;
  check(Exit::distributed, !in.fail(), "the store holds '{}' where a rank should be", text);
  return m;
}

std::string describe(const Member& m) { return fmt::format("rank {} (pid {} on {})", m.rank, m.pid, m.host); }

}  // namespace

Rendezvous::Rendezvous(const World& world, double timeout)
    : prefix_(fmt::format("comm/{}/{}/", world.restart, world.purpose)),
      self_{world.rank, world.size, ::getpid(), host_name(), link_target("/proc/self/ns/pid")},
      rank0_serves_(world.rank0_serves),
      patience_(std::min(timeout, 30.0)) {
  check(Exit::distributed, !world.store.empty(), "a world of {} ranks has no store to meet at", world.size);
  if (world.rank0_serves && world.rank == 0) server_ = std::make_unique<StoreServer>(world.store);
  store_ = std::make_unique<Store>(server_ ? server_->address() : world.store, timeout);
  try {
    register_self(world);
    wait_for_all(timeout);
  } catch (...) {
    failed_ = true;
    leave();
    throw;
  }
}

void Rendezvous::register_self(const World& world) {
  const std::string mine = fmt::format("rank/{}/", world.rank);
  const int64_t count = store_->add(key(mine + "count"), 1);
  if (count > 1) {
    const Member other = read_member(store_->get(key(mine + "member"), last_moment));
    refuse(fmt::format("rank {} is there twice: pid {} on {} and pid {} on {}", world.rank, other.pid,
                       other.host, self_.pid, self_.host));
  }
  store_->set(key(mine + "member"), written(self_));
  // The first to come says how large the world is.
  if (store_->add(key("joined"), 1) == 1) {
    store_->set(key("first"), written(self_));
  } else {
    compare(read_member(store_->get(key("first"), patience_)), self_);
  }
}

void Rendezvous::wait_for_all(double timeout) {
  std::vector<std::string> keys;
  for (int r = 0; r < self_.size; ++r) keys.push_back(key(fmt::format("rank/{}/member", r)));
  const std::string refused = key("refused");
  std::vector<std::string> missing = keys;
  for (const double deadline = now() + timeout; !missing.empty();) {
    missing = store_->wait(missing, look_again);
    if (store_->wait({refused}, 0).empty()) fail(Exit::distributed, "{}", store_->get(refused, last_moment));
    if (missing.empty() || now() < deadline) continue;
    std::string ranks;
    for (const std::string& k : missing) {
      const auto r = std::ranges::find(keys, k) - keys.begin();
      ranks += fmt::format("{}{}", ranks.empty() ? "" : ", ", r);
    }
    fail(Exit::distributed, "rank{} {} of {} {} not come to the store within {:g} s",
         missing.size() > 1 ? "s" : "", ranks, self_.size, missing.size() > 1 ? "have" : "has", timeout);
  }
  for (const std::string& k : keys) {
    members_.push_back(read_member(store_->get(k, patience_)));
    compare(members_.back(), self_);
  }
}

void Rendezvous::compare(const Member& a, const Member& b) {
  if (a.size == b.size) return;
  refuse(
      fmt::format("{} is in a world of {} ranks, {} in one of {}", describe(a), a.size, describe(b), b.size));
}

void Rendezvous::refuse(const std::string& why) {
  store_->set(key("refused"), why);
  fail(Exit::distributed, "{}", why);
}

Rendezvous::~Rendezvous() {
  if (std::uncaught_exceptions() > 0) failed_ = true;
  leave();
}

void Rendezvous::leave() noexcept {
  try {
    leave_note("left", "");
    if (!server_) return;
    std::vector<std::string> keys;
    for (int r = 0; r < self_.size; ++r) keys.push_back(key(fmt::format("left/{}", r)));
    store_->wait(keys, failed_ ? last_moment : patience_);
  } catch (const std::exception& error) {
    log::debug("leaving the store: {}", error.what());
  }
}

bool Rendezvous::on_one_host() const {
  return std::ranges::all_of(members_, [&](const Member& m) { return m.host == self_.host; });
}

std::string Rendezvous::name(int rank) const {
  const Member& m = members_.at(static_cast<size_t>(rank));
  return on_one_host() ? fmt::format("rank {} (pid {})", rank, m.pid) : describe(m);
}

bool Rendezvous::is_stopped(int rank) const {
  const Member& m = members_.at(static_cast<size_t>(rank));
  if (m.host != self_.host || m.pids != self_.pids) return false;
  std::ifstream file(fmt::format("/proc/{}/stat", m.pid));
  std::string text;
  std::getline(file, text);
  const size_t name_end = text.rfind(')');  // "123 (name) T ..."
  if (name_end == text.npos || name_end + 2 >= text.size()) return false;
  return text[name_end + 2] == 'T' || text[name_end + 2] == 't';
}

/// A store in a process that is stopped takes connections but does not answer.
void Rendezvous::check_store() const {
  check(Exit::distributed, !rank0_serves_ || self_.rank == 0 || members_.empty() || !is_stopped(0),
        "rank 0, which serves the store, is stopped");
}

void Rendezvous::leave_note(std::string_view kind, const std::string& text) {
  check_store();
  store_->set(key(fmt::format("{}/{}", kind, self_.rank)), text);
}

std::optional<std::string> Rendezvous::read_note(std::string_view kind, int rank) {
  check_store();
  const std::string k = key(fmt::format("{}/{}", kind, rank));
  if (!store_->wait({k}, 0).empty()) return std::nullopt;
  return store_->get(k, last_moment);
}

}  // namespace trainer::comm
