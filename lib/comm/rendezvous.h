// Rendezvous: how the ranks of a world find each other before their first collective, and what they tell each
// other beside collectives. All of it goes through the store (lib/base/store.h).
#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "lib/base/store.h"
#include "lib/base/world.h"

namespace trainer::comm {

/// A process of the world.
struct Member {
  int rank = 0, size = 0;  ///< size: of the world, as this process was told
  int64_t pid = 0;
  std::string host, pids;  ///< `pids` names the process-id namespace
};

class Rendezvous {
 public:
  /// Serves the store if that falls to this rank, registers and waits for the others. Throws
  /// Error(Exit::distributed) on every rank if a rank is there twice or was told another world size, naming
  /// the processes, or if ranks have not come within `timeout` seconds, naming them.
  Rendezvous(const World&, double timeout);
  /// The rank that serves the store waits until the others have left: long enough for a clean end of all, or
  /// for a moment after an error (in which they may read what has happened).
  ~Rendezvous();
  Rendezvous(const Rendezvous&) = delete;
  Rendezvous& operator=(const Rendezvous&) = delete;

  Store& store() { return *store_; }
  /// A key of this world.
  std::string key(std::string_view name) const { return prefix_ + std::string(name); }

  const Member& self() const { return self_; }
  const std::vector<Member>& members() const { return members_; }
  bool on_one_host() const;
  /// "rank 1 (pid 123)", with the host if there are several.
  std::string name(int rank) const;
  /// The process is stopped (SIGSTOP, a debugger), as far as that can be seen from here.
  bool is_stopped(int rank) const;

  /// A text of this rank for the others, by kind ("waits", "failed"); the last one counts.
  void leave_note(std::string_view kind, const std::string& text);
  /// What a rank has left, if anything.
  std::optional<std::string> read_note(std::string_view kind, int rank);

  /// The run ends in an error: ~Rendezvous() does not wait for long.
  void mark_failed() { failed_ = true; }

 private:
  void register_self(const World&);
  void wait_for_all(double timeout);
  void compare(const Member&, const Member&);
  [[noreturn]] void refuse(const std::string& why);
  void leave() noexcept;
  void check_store() const;

  std::unique_ptr<StoreServer> server_;
  std::unique_ptr<Store> store_;
  std::string prefix_;
  Member self_;
  std::vector<Member> members_;
  bool rank0_serves_;
  double patience_;  // seconds that ~Rendezvous() may wait at a clean end
  std::atomic<bool> failed_ = false;
};

}  // namespace trainer::comm
