// A small key-value store over TCP or a local socket: where the processes of a run meet, before and beside
// their collectives.
//
// One process serves (the launcher, or rank 0 where there is none), all others are clients. Keys and values
// are bytes. The protocol is ours: a greeting that names it, then length-prefixed requests; whatever else is
// sent to the port is answered by closing that connection, and disturbs nobody.
//
// Addresses: "host:port" (port 0 lets the kernel choose when serving) or "unix:@name" (Linux' abstract
// namespace: no file to clean up).
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/error.h"

namespace trainer {

/// Serves from a thread of its own until it is destroyed.
class StoreServer {
 public:
  /// Throws Error(Exit::distributed) naming the address if it cannot be bound (a busy port, say).
  explicit StoreServer(const std::string& address);
  ~StoreServer();
  StoreServer(const StoreServer&) = delete;
  StoreServer& operator=(const StoreServer&) = delete;

  /// With the port that was chosen. What "0.0.0.0" or "" listens on is given as this host's name.
  const std::string& address() const { return address_; }

 private:
  struct State;
  std::unique_ptr<State> state_;
  std::string address_;
};

/// A client; every call may come from any thread. Times are seconds on the monotonic clock. Every failure is
/// an Error(Exit::distributed) that names the address and, where there is one, the key.
class Store {
 public:
  /// Connects, trying again until the server is there or `timeout` has passed.
  Store(const std::string& address, double timeout);
  ~Store();
  Store(const Store&) = delete;
  Store& operator=(const Store&) = delete;

  void set(std::string_view key, std::string_view value);
  /// Waits until the key is set. Throws Error(Exit::distributed) naming it after `timeout`.
  std::string get(std::string_view key, double timeout);
  /// Waits until all are set; the keys that are still missing after `timeout` (none: all are there).
  std::vector<std::string> wait(const std::vector<std::string>& keys, double timeout);
  /// Adds to a decimal number (0 if unset) and returns the sum; the value can be read with get().
  int64_t add(std::string_view key, int64_t amount);
  /// True if it was there.
  bool erase(std::string_view key);

 private:
  struct Connection;
  std::unique_ptr<Connection> connection_;
};

}  // namespace trainer
