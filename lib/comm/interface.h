// The network interface that a rank's connections use.
#pragma once

#include <string>

#include "lib/comm/rendezvous.h"

namespace trainer::comm {

/// One of the two is set: the name of an interface ("eth0"), or an address or host name of this machine.
struct Interface {
  std::string name, address;
};

/// GLOO_SOCKET_IFNAME (as with PyTorch; the first of a list) if that is set, loopback if all ranks are on one
/// host, else the address from which another host of the world is reached, or this host's name if none is
/// known.
Interface interface_for(const Rendezvous&);

}  // namespace trainer::comm
