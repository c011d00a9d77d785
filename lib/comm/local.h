// Ranks that are threads of one process: for tests and for tools that need no other process.
//
//   comm::LocalHub hub(2, /*timeout=*/5);
//   std::thread other([&] { const auto comm = hub.join(1); ... });
//   const auto comm = hub.join(0);
#pragma once

#include <memory>

#include "lib/comm/comm.h"

namespace trainer::comm {

/// Where the ranks meet; outlives what join() returns.
class LocalHub {
 public:
  /// `timeout` in seconds, as COMM.TIMEOUT.
  LocalHub(int size, double timeout);
  ~LocalHub();
  LocalHub(const LocalHub&) = delete;
  LocalHub& operator=(const LocalHub&) = delete;

  /// Once for each rank, from any thread. A rank that destroys it is gone for the others.
  std::unique_ptr<Comm> join(int rank);

 private:
  class State;
  class Rank;
  std::unique_ptr<State> state_;
};

}  // namespace trainer::comm
