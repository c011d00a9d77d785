// A port that is ours without anybody listening on it.
#pragma once

#include <optional>
#include <string>

#include "lib/base/fd.h"

namespace trainer::launch {

/// MASTER_PORT: bound with SO_REUSEADDR and not listened on, so that the kernel gives it to nobody else,
/// while a worker's own store (PyTorch's TCPStore) can bind it and listen.
class ReservedPort {
 public:
  /// Chosen by the kernel, or `wanted`. Throws Error(Exit::distributed) if somebody listens on that.
  explicit ReservedPort(std::optional<int> wanted);
  int port() const { return port_; }

 private:
  Fd socket_;
  int port_ = 0;
};

}  // namespace trainer::launch
