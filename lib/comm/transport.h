// Transport: how the ranks of a Mesh (lib/comm/mesh.h) move bytes and find out what holds them up.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

namespace trainer::comm {

/// Bytes of a piece of memory to and from one other rank. Every call throws Error, as Comm's do.
class Port {
 public:
  virtual ~Port() = default;

  /// They only begin; each is completed by a wait of its own, in the order of the calls. A send and a receive
  /// meet if they have the same slot; of several, in the order of the calls. The receiver may expect more
  /// than is sent.
  virtual void send(uint64_t slot, size_t offset, size_t bytes) = 0;
  virtual void receive(uint64_t slot, size_t offset, size_t bytes) = 0;
  virtual void wait_sent() = 0;
  virtual void wait_received() = 0;
};

class Transport {
 public:
  virtual ~Transport() = default;

  /// Ports have to be gone before the transport, and before their memory.
  virtual std::unique_ptr<Port> port(int peer, void* data, size_t bytes) = 0;

  /// Around each collective. `text` is its name for messages.
  virtual void begin(uint64_t sequence, const std::string& text) = 0;
  virtual void end() = 0;

  /// Makes the collective that runs and all later ones throw; the other ranks are told. From any thread.
  virtual void give_up(const std::string& why) = 0;
};

}  // namespace trainer::comm
