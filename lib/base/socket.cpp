#include "lib/base/socket.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstring>
#include <memory>
#include <vector>

#include "lib/base/system.h"

namespace trainer {
namespace {

constexpr std::string_view unix_prefix = "unix:@";

struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t size = 0;
  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
  int family() const { return storage.ss_family; }
};

SocketAddress abstract_address(std::string_view address) {
  const std::string_view name = address.substr(unix_prefix.size());
  sockaddr_un local{};
  local.sun_family = AF_UNIX;
  check(Exit::distributed, !name.empty() && name.size() < sizeof local.sun_path,
        "{}: the name of a local socket has 1 to {} bytes", address, sizeof local.sun_path - 1);
  std::copy(name.begin(), name.end(), local.sun_path + 1);  // sun_path[0] is 0: the abstract namespace
  SocketAddress result;
  std::memcpy(&result.storage, &local, sizeof local);
  result.size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + name.size());
  return result;
}

/// What a host's name leads to; `problem` says why it is nothing.
std::vector<SocketAddress> look_up(const std::string& host, int port, std::string& problem) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_NUMERICSERV;
  addrinfo* list = nullptr;
  const int error = ::getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &list);
  if (error != 0) {
    problem = error == EAI_SYSTEM ? std::strerror(errno) : ::gai_strerror(error);
    return {};
  }
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> owner(list, &::freeaddrinfo);
  std::vector<SocketAddress> found;
  for (const addrinfo* entry = list; entry != nullptr; entry = entry->ai_next) {
    SocketAddress address;
    std::memcpy(&address.storage, entry->ai_addr, entry->ai_addrlen);
    address.size = entry->ai_addrlen;
    found.push_back(address);
  }
  return found;
}

SocketAddress any_address(int family, int port) {
  SocketAddress result;
  if (family == AF_INET6) {
    sockaddr_in6 any{};
    any.sin6_family = AF_INET6;
    any.sin6_port = htons(static_cast<uint16_t>(port));
    any.sin6_addr = in6addr_any;
    std::memcpy(&result.storage, &any, sizeof any);
    result.size = sizeof any;
  } else {
    sockaddr_in any{};
    any.sin_family = AF_INET;
    any.sin_port = htons(static_cast<uint16_t>(port));
    any.sin_addr.s_addr = htonl(INADDR_ANY);
    std::memcpy(&result.storage, &any, sizeof any);
    result.size = sizeof any;
  }
  return result;
}

bool is_numeric(const std::string& host) {
  in6_addr ignored{};
  return ::inet_pton(AF_INET, host.c_str(), &ignored) == 1 ||
         ::inet_pton(AF_INET6, host.c_str(), &ignored) == 1;
}

void set_option(int fd, int level, int name, int value) {
  ::setsockopt(fd, level, name, &value, sizeof value);
}

Fd new_socket(int family) {
  Fd fd(::socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (fd.valid() && family != AF_UNIX) {
    set_option(fd.get(), IPPROTO_TCP, TCP_NODELAY, 1);  // accepted sockets inherit it
    set_option(fd.get(), SOL_SOCKET, SO_KEEPALIVE, 1);
  }
  return fd;
}

/// Binds and listens; an invalid descriptor and errno otherwise.
Fd try_listen(const SocketAddress& address) {
  Fd fd = new_socket(address.family());
  if (!fd.valid()) return fd;
  if (address.family() != AF_UNIX) set_option(fd.get(), SOL_SOCKET, SO_REUSEADDR, 1);
  if (address.family() == AF_INET6) set_option(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, 0);
  if (::bind(fd.get(), address.get(), address.size) == 0 && ::listen(fd.get(), SOMAXCONN) == 0) return fd;
  const int reason = errno;
  fd.reset();
  errno = reason;
  return fd;
}

int port_of(int fd) {
  sockaddr_storage bound{};
  socklen_t size = sizeof bound;
  ::getsockname(fd, reinterpret_cast<sockaddr*>(&bound), &size);
  const auto port = bound.ss_family == AF_INET6 ? reinterpret_cast<const sockaddr_in6&>(bound).sin6_port
                                                : reinterpret_cast<const sockaddr_in&>(bound).sin_port;
  return ntohs(port);
}

Fd try_listen(const HostPort& place) {
  if (place.host == "localhost" || is_numeric(place.host)) {
    std::string ignored;
    for (const SocketAddress& address : look_up(place.host, place.port, ignored)) {
      Fd fd = try_listen(address);
      // Not an address of this machine: a service's, which is forwarded to us.
      if (fd.valid() || errno != EADDRNOTAVAIL) return fd;
    }
  }
  Fd fd = try_listen(any_address(AF_INET6, place.port));
  if (fd.valid() || (errno != EAFNOSUPPORT && errno != EADDRNOTAVAIL)) return fd;
  return try_listen(any_address(AF_INET, place.port));  // a machine without IPv6
}

int milliseconds_until(double deadline) {
  const double left = deadline - now();
  return left <= 0 ? 0 : static_cast<int>(std::min(std::ceil(left * 1e3), 1e9));
}

/// Connecting to a free port out of the range that the kernel chooses from can end in a connection with
/// oneself.
bool is_own_end(int fd) {
  sockaddr_storage own{}, peer{};
  socklen_t own_size = sizeof own, peer_size = sizeof peer;
  return ::getsockname(fd, reinterpret_cast<sockaddr*>(&own), &own_size) == 0 &&
         ::getpeername(fd, reinterpret_cast<sockaddr*>(&peer), &peer_size) == 0 && own.ss_family != AF_UNIX &&
         own_size == peer_size && std::memcmp(&own, &peer, own_size) == 0;
}

/// Connects within the deadline; errno tells why not.
Fd try_connect(const SocketAddress& address, double deadline) {
  Fd fd = new_socket(address.family());
  if (!fd.valid() || ::connect(fd.get(), address.get(), address.size) == 0) return fd;
  int error = errno;
  if (error == EINPROGRESS || error == EINTR) {
    error = ETIMEDOUT;
    socklen_t size = sizeof error;
    if (wait_for(fd.get(), POLLOUT, deadline)) ::getsockopt(fd.get(), SOL_SOCKET, SO_ERROR, &error, &size);
    if (error == 0 && !is_own_end(fd.get())) return fd;
    if (error == 0) error = ECONNREFUSED;
  }
  fd.reset();
  errno = error;
  return fd;
}

}  // namespace

HostPort parse_host_port(std::string_view address) {
  const size_t colon = address.rfind(':');
  check(Exit::usage, colon != address.npos, "{}: expected host:port", address);
  HostPort result{std::string(address.substr(0, colon)), -1};
  const std::string_view digits = address.substr(colon + 1);
  const auto parsed = std::from_chars(digits.data(), digits.data() + digits.size(), result.port);
  check(Exit::usage,
        parsed.ec == std::errc() && parsed.ptr == digits.data() + digits.size() && result.port >= 0 &&
            result.port <= 65535,
        "{}: expected host:port with a port from 0 to 65535", address);
  if (result.host.size() >= 2 && result.host.front() == '[' && result.host.back() == ']')
    result.host = result.host.substr(1, result.host.size() - 2);
  return result;
}

std::string join_host_port(std::string_view host, int port) {
  return host.find(':') == host.npos ? fmt::format("{}:{}", host, port) : fmt::format("[{}]:{}", host, port);
}

bool is_loopback(std::string_view host) {
  return host == "localhost" || host == "::1" || host.starts_with("127.");
}

bool is_local_host(const std::string& host) {
  std::string ignored;
  for (const SocketAddress& address : look_up(host, 0, ignored)) {
    const Fd fd(::socket(address.family(), SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (fd.valid() && ::bind(fd.get(), address.get(), address.size) == 0) return true;
  }
  return false;
}

Listener listen_at(const std::string& address) {
  Listener result{{}, address};
  if (address.starts_with(unix_prefix)) {
    result.fd = try_listen(abstract_address(address));
  } else {
    HostPort place = parse_host_port(address);
    result.fd = try_listen(place);
    const int reason = errno;
    if (place.host.empty() || place.host == "0.0.0.0" || place.host == "::") place.host = host_name();
    if (result.fd.valid()) result.address = join_host_port(place.host, port_of(result.fd.get()));
    errno = reason;
  }
  if (!result.fd.valid()) fail(Exit::distributed, "{}: cannot listen: {}", address, std::strerror(errno));
  return result;
}

Fd connect_to(const std::string& address, double deadline, std::string& reason) {
  if (address.starts_with(unix_prefix)) {
    Fd fd = try_connect(abstract_address(address), deadline);
    if (!fd.valid()) reason = std::strerror(errno);
    return fd;
  }
  const HostPort place = parse_host_port(address);
  check(Exit::distributed, place.port > 0, "{}: cannot connect to port 0", address);
  reason.clear();
  for (const SocketAddress& found : look_up(place.host, place.port, reason)) {
    Fd fd = try_connect(found, deadline);
    if (fd.valid()) return fd;
    reason = std::strerror(errno);
  }
  return {};
}

bool peer_is_trusted(int fd) {
  ucred peer{};
  socklen_t size = sizeof peer;
  sockaddr_storage own{};
  socklen_t own_size = sizeof own;
  ::getsockname(fd, reinterpret_cast<sockaddr*>(&own), &own_size);
  if (own.ss_family != AF_UNIX) return true;
  return ::getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 &&
         (peer.uid == ::geteuid() || peer.uid == 0);
}

bool wait_for(int fd, short events, double deadline) {
  pollfd entry{fd, events, 0};
  for (;;) {
    const int n = ::poll(&entry, 1, milliseconds_until(deadline));
    if (n > 0) return true;
    if (n == 0 && now() >= deadline) return false;
    if (n < 0 && errno != EINTR) return false;
  }
}

Transfer send_all(int fd, const void* data, size_t size, double deadline) {
  const char* bytes = static_cast<const char*>(data);
  while (size > 0) {
    const ssize_t n = ::send(fd, bytes, size, MSG_NOSIGNAL);
    if (n >= 0) {
      bytes += n;
      size -= static_cast<size_t>(n);
    } else if (errno == EAGAIN) {
      if (!wait_for(fd, POLLOUT, deadline)) return Transfer::timed_out;
    } else if (errno != EINTR) {
      return Transfer::closed;
    }
  }
  return Transfer::done;
}

Transfer receive_all(int fd, void* data, size_t size, double deadline) {
  char* bytes = static_cast<char*>(data);
  while (size > 0) {
    const ssize_t n = ::recv(fd, bytes, size, 0);
    if (n > 0) {
      bytes += n;
      size -= static_cast<size_t>(n);
    } else if (n < 0 && errno == EAGAIN) {
      if (!wait_for(fd, POLLIN, deadline)) return Transfer::timed_out;
    } else if (n == 0 || errno != EINTR) {
      return Transfer::closed;
    }
  }
  return Transfer::done;
}

}  // namespace trainer
