// Watchdog: finds out why a collective waits, and ends it.
//
// A thread of its own looks ten times a second at the collective that this rank is in. When it has waited for
// a second the rank says so at the store, and reads what the rank that it waits for has said there: if that
// is in another collective, or has given up, waiting is in vain. When the time is over, the missing ranks are
// named with what the board (lib/base/board.h) or the store knows of them.
#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "lib/comm/rendezvous.h"

namespace trainer::comm {

class Watchdog {
 public:
  /// `lost(r)`: the connection to rank r has broken. `interrupt` makes the collective that runs return from
  /// whatever it waits for; none may be running.
  Watchdog(Rendezvous&, double timeout, std::function<bool(int rank)> lost, std::function<void()> interrupt);
  ~Watchdog();

  /// A collective begins; `text` has to live until end(). Throws the verdict if there is one.
  void begin(uint64_t sequence, const std::string& text);
  /// The ranks that it waits for from now on are `peer` and, later, those behind it in [0, size).
  void wait_for(int peer);
  void end();

  /// A wait for `peer` has been interrupted, or has failed if `failed`: throws the verdict if there is one;
  /// otherwise the wait may go on.
  void resume(int peer, bool failed);

  /// This rank's verdict on itself: the collective that runs and all later ones throw.
  void give_up(const std::string& why);

 private:
  /// A collective that waits.
  struct Wait {
    uint64_t sequence = 0, number = 0;  ///< number: counts waits
    std::string text;
    int peer = 0;
    double seconds = 0;
    bool failed = false;
    std::string str() const;
  };
  using Lock = std::unique_lock<std::mutex>;

  void run();
  void look(Lock&);
  std::optional<Error> investigate(const Wait&);
  std::optional<Error> ask_store(const Wait&);
  Error gone(const Wait&);
  Error late(const Wait&);
  Error connection_lost(const Wait&) const;
  Error timed_out(const Wait&, const std::string& ranks) const;
  std::optional<Error> error_of(int rank);
  void judge(const Error&, const std::string& to_others);

  Rendezvous& rendezvous_;
  double timeout_;
  std::function<bool(int)> lost_;
  std::function<void()> interrupt_;

  std::atomic<int> peer_{0};
  std::atomic<uint64_t> waits_{0};

  std::mutex mutex_;
  std::condition_variable changed_;
  bool stopping_ = false, running_ = false, failed_ = false;
  double since_ = 0;
  uint64_t sequence_ = 0;
  const std::string* text_ = nullptr;
  std::optional<Error> verdict_;
  std::optional<std::string> farewell_;  // a note for the other ranks, to be left

  // Of the thread.
  uint64_t lost_in_ = 0;   // the wait in which the connection was seen to be lost
  uint64_t noted_in_ = 0;  // the collective that the others have been told of
  double next_question_ = 0;
  bool store_works_ = true;
  std::thread thread_;
};

}  // namespace trainer::comm
