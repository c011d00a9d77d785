// A key-value store over TCP or a local socket, for the rendezvous of the processes of a run (as
// torch.distributed's TCPStore). One process serves: the launcher, or rank 0 without one. All ranks are
// clients.
//
//   StoreServer server("0.0.0.0:0");
//   Store store(server.address(), 30);
//   store.set("rank0/host", "10.0.0.1");
//   std::string host = store.get("rank0/host", 60);
//
// Keys (1 to 4096 bytes) and values are bytes. The protocol (lib/base/store_protocol.h) begins with a
// greeting; a connection that sends anything else is closed. Addresses: "host:port" (a server's port 0: the
// kernel chooses) or "unix:@name" (Linux's abstract namespace: no file to clean up).
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/error.h"

namespace trainer {

/// Serves in a thread of its own until it is destroyed.
class StoreServer {
 public:
  /// Throws Error(Exit::distributed) naming the address if it cannot be bound, as a port in use.
  explicit StoreServer(const std::string& address);
  ~StoreServer();
  StoreServer(const StoreServer&) = delete;
  StoreServer& operator=(const StoreServer&) = delete;

  /// Where clients connect: with the real port if 0 was given, and this host's name instead of "" and
  /// 0.0.0.0.
  const std::string& address() const { return address_; }

 private:
  struct State;
  std::unique_ptr<State> state_;
  std::string address_;
};

/// A client. Calls may come from any thread, and one that waits does not hold up others. Timeouts are
/// seconds. Every failure is an Error(Exit::distributed) that names the address and the key; once the server
/// is lost, all calls fail.
class Store {
 public:
  /// Connects; tries again until the server is there or `timeout` has passed.
  Store(const std::string& address, double timeout);
  ~Store();
  Store(const Store&) = delete;
  Store& operator=(const Store&) = delete;

  void set(std::string_view key, std::string_view value);
  /// Waits until the key is set. Throws after `timeout`.
  std::string get(std::string_view key, double timeout);
  /// Waits until all keys are set. Returns those that are still missing after `timeout`.
  std::vector<std::string> wait(const std::vector<std::string>& keys, double timeout);
  /// Adds to a decimal number (0 if unset) and returns the sum. get() reads it as text.
  int64_t add(std::string_view key, int64_t amount);
  /// Returns whether the key was set.
  bool erase(std::string_view key);

 private:
  struct Connection;
  std::unique_ptr<Connection> connection_;
};

}  // namespace trainer
