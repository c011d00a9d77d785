// Stream sockets by address: "host:port", "[::1]:port" or "unix:@name" (Linux's abstract namespace). All
// sockets are non-blocking and closed on exec. A deadline is a time of now() (lib/base/system.h), seconds.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "lib/base/error.h"
#include "lib/base/fd.h"

namespace trainer {

/// "host:port" in its parts. IPv6 addresses may be in brackets. Throws Error(Exit::usage) naming `address`.
struct HostPort {
  std::string host;
  int port = 0;
};
HostPort parse_host_port(std::string_view address);
/// "host:port", with brackets around an IPv6 address.
std::string join_host_port(std::string_view host, int port);

/// `host` is 127.x.x.x, ::1 or localhost. No name is looked up.
bool is_loopback(std::string_view host);
/// `host`, looked up, is an address of this machine.
bool is_local_host(const std::string& host);

/// A listening socket. localhost or a numeric address of this machine: on that address only. Any other host:
/// on all interfaces, because a name may resolve to a loopback address here and to another one elsewhere.
struct Listener {
  Fd fd;
  std::string address;  ///< with the real port if 0 was given, and this host's name instead of "" and 0.0.0.0
};
/// Throws Error(Exit::distributed) naming the address.
Listener listen_at(const std::string& address);

/// A new connection. Invalid, with the cause in `reason`, if nothing listens there yet or the deadline has
/// passed: the caller may try again. Throws Error(Exit::distributed) if that cannot help.
Fd connect_to(const std::string& address, double deadline, std::string& reason);

/// The process at the other end of a local socket has our user or root. Always true for TCP.
bool peer_is_trusted(int fd);

/// Waits for `events` (of poll); false once the deadline has passed.
bool wait_for(int fd, short events, double deadline);

enum class Transfer { done, closed, timed_out };
/// Sends or receives exactly `size` bytes.
Transfer send_all(int fd, const void* data, size_t size, double deadline);
Transfer receive_all(int fd, void* data, size_t size, double deadline);

}  // namespace trainer
