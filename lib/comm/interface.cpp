#include "lib/comm/interface.h"

#include <netdb.h>
#include <sys/socket.h>

#include <cstdlib>
#include <string_view>

#include "lib/base/fd.h"
#include "lib/base/socket.h"
#include "lib/base/system.h"

namespace trainer::comm {
namespace {

/// This host's address on the way to `host`; "" if there is none. Nothing is sent.
std::string address_towards(const std::string& host) {
  addrinfo hints{}, *found = nullptr;
  hints.ai_socktype = SOCK_DGRAM;
  if (::getaddrinfo(host.c_str(), "9", &hints, &found) != 0) return {};
  std::string address;
  for (const addrinfo* a = found; a != nullptr && address.empty(); a = a->ai_next) {
    const Fd fd(::socket(a->ai_family, a->ai_socktype | SOCK_CLOEXEC, a->ai_protocol));
    sockaddr_storage own{};
    socklen_t size = sizeof own;
    char text[NI_MAXHOST];
    auto* const own_address = reinterpret_cast<sockaddr*>(&own);
    if (fd.valid() && ::connect(fd.get(), a->ai_addr, a->ai_addrlen) == 0 &&
        ::getsockname(fd.get(), own_address, &size) == 0 &&
        ::getnameinfo(own_address, size, text, sizeof text, nullptr, 0, NI_NUMERICHOST) == 0) {
      address = text;
    }
  }
  ::freeaddrinfo(found);
  return address;
}

}  // namespace

Interface interface_for(const Rendezvous& rendezvous) {
  if (const char* names = std::getenv("GLOO_SOCKET_IFNAME"); names != nullptr && *names != 0) {
    const std::string_view all = names;
    return {std::string(all.substr(0, all.find(','))), ""};
  }
  if (rendezvous.on_one_host()) return {"", "127.0.0.1"};
  for (const Member& m : rendezvous.members()) {
    if (m.host == rendezvous.self().host) continue;
    const std::string address = address_towards(m.host);
    if (!address.empty() && !is_loopback(address)) return {"", address};
  }
  return {"", host_name()};
}

}  // namespace trainer::comm
