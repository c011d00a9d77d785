#include "apps/trainer-launch/port.h"

#include <netinet/in.h>
#include <sys/socket.h>

#include <cstring>

#include "lib/base/error.h"

namespace trainer::launch {
namespace {

/// Bound to all interfaces; an invalid descriptor and errno otherwise.
Fd bind_reusable(int family, int port) {
  Fd fd(::socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const int one = 1, zero = 0;
  sockaddr_storage any{};
  socklen_t size = sizeof(sockaddr_in);
  any.ss_family = static_cast<sa_family_t>(family);
  if (family == AF_INET6) {
    size = sizeof(sockaddr_in6);
    reinterpret_cast<sockaddr_in6&>(any).sin6_port = htons(static_cast<uint16_t>(port));
    ::setsockopt(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, &zero, sizeof zero);
  } else {
    reinterpret_cast<sockaddr_in&>(any).sin_port = htons(static_cast<uint16_t>(port));
  }
  ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  if (fd.valid() && ::bind(fd.get(), reinterpret_cast<const sockaddr*>(&any), size) != 0) {
    const int reason = errno;
    fd.reset();
    errno = reason;
  }
  return fd;
}

}  // namespace

ReservedPort::ReservedPort(std::optional<int> wanted) : socket_(bind_reusable(AF_INET6, wanted.value_or(0))) {
  if (!socket_.valid() && errno != EADDRINUSE && errno != EACCES)
    socket_ = bind_reusable(AF_INET, wanted.value_or(0));  // a machine without IPv6
  if (!socket_.valid()) {
    const int reason = errno;
    check(Exit::distributed, !wanted || reason != EADDRINUSE,
          "port {} is in use: choose another --master-port (on one node it may be left out)",
          wanted.value_or(0));
    fail(Exit::distributed, "cannot reserve {} for MASTER_PORT: {}",
         wanted ? fmt::format("port {}", *wanted) : std::string("a port"), std::strerror(reason));
  }
  sockaddr_in6 bound{};  // the port lies at the same place in sockaddr_in
  socklen_t size = sizeof bound;
  ::getsockname(socket_.get(), reinterpret_cast<sockaddr*>(&bound), &size);
  port_ = ntohs(bound.sin6_port);
}

}  // namespace trainer::launch
