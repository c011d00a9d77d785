// Ranks that are processes, connected by TCP through gloo (https://github.com/facebookincubator/gloo).
//
// gloo connects and moves bytes; what is sent when is decided in lib/comm/mesh.h. This keeps apart what
// gloo's own collectives do not: which rank is waited for, and whether its connection still stands.
#include <gloo/rendezvous/context.h>
#include <gloo/rendezvous/store.h>
#include <gloo/transport/tcp/device.h>

#include <algorithm>
#include <mutex>

#include "lib/base/log.h"
#include "lib/comm/interface.h"
#include "lib/comm/mesh.h"
#include "lib/comm/rendezvous.h"
#include "lib/comm/watchdog.h"

namespace trainer::comm {
namespace {

using Buffer = gloo::transport::UnboundBuffer;

std::chrono::milliseconds milliseconds(double seconds) {
  return std::chrono::milliseconds(static_cast<int64_t>(std::min(seconds, 1e9) * 1e3));
}

/// Where gloo's ranks find each other's addresses.
class GlooStore final : public gloo::rendezvous::Store {
 public:
  GlooStore(Rendezvous& rendezvous, double timeout) : rendezvous_(rendezvous), timeout_(timeout) {}

  void set(const std::string& key, const std::vector<char>& data) override {
    rendezvous_.store().set(full(key), {data.data(), data.size()});
  }
  std::vector<char> get(const std::string& key) override {
    const std::string value = rendezvous_.store().get(full(key), timeout_);
    return {value.begin(), value.end()};
  }
  void wait(const std::vector<std::string>& keys) override { wait(keys, milliseconds(timeout_)); }
  void wait(const std::vector<std::string>& keys, const std::chrono::milliseconds& timeout) override {
    std::vector<std::string> all;
    for (const std::string& key : keys) all.push_back(full(key));
    const auto missing = rendezvous_.store().wait(all, 1e-3 * static_cast<double>(timeout.count()));
    check(Exit::distributed, missing.empty(), "a rank did not connect within {:g} s", timeout_);
  }

 private:
  std::string full(const std::string& key) const { return rendezvous_.key("gloo/" + key); }

  Rendezvous& rendezvous_;
  double timeout_;
};

class GlooTransport final : public Transport {
 public:
  GlooTransport(const World& world, double timeout);

  std::unique_ptr<Port> port(int peer, void* data, size_t bytes) override;
  void begin(uint64_t sequence, const std::string& text) override { watchdog_->begin(sequence, text); }
  void end() override { watchdog_->end(); }
  void give_up(const std::string& why) override { watchdog_->give_up(why); }

 private:
  class GlooPort;

  void connect();
  bool is_lost(int peer);
  void interrupt();

  double timeout_;
  Rendezvous rendezvous_;
  std::shared_ptr<gloo::transport::Device> device_;
  std::shared_ptr<gloo::rendezvous::Context> context_;
  std::vector<std::unique_ptr<Buffer>> alive_;  // by rank: gets nothing, and fails if the connection breaks
  std::mutex mutex_;
  std::vector<GlooPort*> ports_;        // all that there are
  std::unique_ptr<Watchdog> watchdog_;  // last: its thread uses all of the above
};

/// gloo counts what has completed by buffer, and tells a buffer when something goes wrong: with buffers of
/// their own, it is known which rank has come and which one has not.
class GlooTransport::GlooPort final : public Port {
 public:
  GlooPort(GlooTransport& transport, int peer, void* data, size_t bytes)
      : transport_(transport), peer_(peer), buffer_(transport.context_->createUnboundBuffer(data, bytes)) {
    const std::lock_guard lock(transport_.mutex_);
    transport_.ports_.push_back(this);
  }
  ~GlooPort() override {
    const std::lock_guard lock(transport_.mutex_);
    std::erase(transport_.ports_, this);
  }

  void send(uint64_t slot, size_t offset, size_t bytes) override {
    attempt([&] { return buffer_->send(peer_, slot, offset, bytes), true; });
  }
  void receive(uint64_t slot, size_t offset, size_t bytes) override {
    attempt([&] { return buffer_->recv(peer_, slot, offset, bytes), true; });
  }
  void wait_sent() override {
    attempt([&] { return buffer_->waitSend(backstop()); });
  }
  void wait_received() override {
    attempt([&] { return buffer_->waitRecv(backstop()); });
  }

  void interrupt() {
    buffer_->abortWaitSend();
    buffer_->abortWaitRecv();
  }

 private:
  /// The watchdog ends waits in time; this is for the case that it is held up itself.
  std::chrono::milliseconds backstop() const { return milliseconds(transport_.timeout_ + 2); }

  /// Until `act` succeeds or the watchdog says why it cannot.
  template <class F>
  void attempt(F&& act) {
    transport_.watchdog_->wait_for(peer_);
    while (true) {
      bool failed = false;
      try {
        if (act()) return;
      } catch (const gloo::Exception& error) {
        log::debug("gloo: {}", error.what());
        failed = true;
      }
      transport_.watchdog_->resume(peer_, failed);
    }
  }

  GlooTransport& transport_;
  int peer_;
  std::unique_ptr<Buffer> buffer_;
};

GlooTransport::GlooTransport(const World& world, double timeout)
    : timeout_(timeout), rendezvous_(world, timeout) {
  try {
    connect();
  } catch (const gloo::Exception& error) {
    rendezvous_.mark_failed();
    fail(Exit::distributed, "rank {} cannot connect to the other ranks: {}", world.rank, error.what());
  }
  watchdog_ = std::make_unique<Watchdog>(
      rendezvous_, timeout_, [this](int peer) { return is_lost(peer); }, [this] { interrupt(); });
}

void GlooTransport::connect() {
  const auto [name, address] = interface_for(rendezvous_);
  gloo::transport::tcp::attr attr;
  attr.iface = name;
  attr.hostname = address;
  device_ = gloo::transport::tcp::CreateDevice(attr);
  const int rank = rendezvous_.self().rank, size = rendezvous_.self().size;
  context_ = std::make_shared<gloo::rendezvous::Context>(rank, size);
  context_->setTimeout(milliseconds(timeout_));
  const auto store = std::make_shared<GlooStore>(rendezvous_, timeout_);
  const auto connect_all = [&](auto& context) {
    if constexpr (requires { context.connectFullMesh(*store, device_); }) {
      context.connectFullMesh(*store, device_);
    } else {
      context.connectFullMesh(store, device_);  // versions since 2023
    }
  };
  connect_all(*context_);

  alive_.resize(static_cast<size_t>(size));
  for (int p = 0; p < size; ++p) {
    if (p == rank) continue;
    std::unique_ptr<Buffer>& buffer = alive_[static_cast<size_t>(p)];
    buffer = context_->createUnboundBuffer(nullptr, 0);
    buffer->recv(p, ~uint64_t{0}, 0, 0);
  }
}

std::unique_ptr<Port> GlooTransport::port(int peer, void* data, size_t bytes) {
  return std::make_unique<GlooPort>(*this, peer, data, bytes);
}

/// The connection has broken. A wait that is interrupted looks for errors first, and does not wait.
bool GlooTransport::is_lost(int peer) {
  Buffer& buffer = *alive_[static_cast<size_t>(peer)];
  try {
    buffer.abortWaitRecv();
    buffer.waitRecv(milliseconds(timeout_));
    return false;
  } catch (const gloo::Exception&) {
    return true;
  }
}

void GlooTransport::interrupt() {
  const std::lock_guard lock(mutex_);
  for (GlooPort* port : ports_) port->interrupt();
}

class Gloo final : public Mesh {
 public:
  using Config = CommConfig;
  Gloo(const Config& config, const World& world)
      : Mesh(world.rank, world.size, std::make_unique<GlooTransport>(world, config.timeout)),
        config_(config),
        world_(world) {}

 private:
  std::unique_ptr<Comm> do_duplicate(const std::string& name) override {
    World again = world_;
    again.purpose += "/" + name;
    again.rank0_serves = false;  // it does already
    return std::make_unique<Gloo>(config_, again);
  }

  Config config_;
  World world_;
};

const bool registered = backends().add<Gloo>("gloo");

}  // namespace
}  // namespace trainer::comm
