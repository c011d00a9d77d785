// Stream sockets by address: "host:port", "[::1]:port" or "unix:@name" (Linux' abstract namespace).
// All of them are non-blocking and closed on exec; waiting is done with poll and a deadline of now().
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "lib/base/error.h"
#include "lib/base/fd.h"

namespace trainer {

/// "host:port" taken apart; IPv6 addresses may stand in brackets. Throws Error(Exit::usage) naming `address`.
struct HostPort {
  std::string host;
  int port = 0;
};
HostPort parse_host_port(std::string_view address);
/// The other way round: brackets around an IPv6 address.
std::string join_host_port(std::string_view host, int port);

/// 127.0.0.0/8, ::1, localhost; no name is looked up.
bool is_loopback(std::string_view host);
/// The host, looked up, is an address of this machine.
bool is_local_host(const std::string& host);

/// A listening socket. A numeric address of this machine and localhost are listened on alone; every other
/// host (a name may lead to a loopback address here and to another one elsewhere) means all interfaces.
struct Listener {
  Fd fd;
  std::string address;  ///< with the port that was chosen; host as given, this host's name for "" and 0.0.0.0
};
/// Throws Error(Exit::distributed) naming the address.
Listener listen_at(const std::string& address);

/// The descriptor of a new connection, or an invalid one: nobody listens there (yet), or `deadline` has
/// passed; `reason` says which. Throws Error(Exit::distributed) where trying again cannot help.
Fd connect_to(const std::string& address, double deadline, std::string& reason);

/// The user at the other end of a local socket may use ours: the same one, or root. True for TCP.
bool peer_is_trusted(int fd);

/// Waits for poll's `events`; false once `deadline` has passed.
bool wait_for(int fd, short events, double deadline);

enum class Transfer { done, closed, timed_out };
/// Sends or receives exactly `size` bytes.
Transfer send_all(int fd, const void* data, size_t size, double deadline);
Transfer receive_all(int fd, void* data, size_t size, double deadline);

}  // namespace trainer
