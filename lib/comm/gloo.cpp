// Ranks that are processes, connected by TCP through gloo (https://github.com/facebookincubator/gloo).
//
// gloo meets, connects and moves bytes; what is sent when is decided here. Every rank owns an n-th of a
// tensor, gets the others' parts of it, sums them in the order of the ranks and sends the result to all: as
// many bytes as a ring would move, but in two steps whatever the number of ranks, and with sums that depend
// on nothing but the ranks' values. Small tensors go to everybody as a whole, in one step.
#include <arpa/inet.h>
#include <gloo/rendezvous/context.h>
#include <gloo/rendezvous/store.h>
#include <gloo/transport/tcp/device.h>
#include <netdb.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <span>

#include "lib/base/fd.h"
#include "lib/base/log.h"
#include "lib/base/socket.h"
#include "lib/comm/comm.h"
#include "lib/comm/meeting.h"
#include "lib/comm/sum.h"
#include "lib/comm/watch.h"

namespace trainer::comm {
namespace {

using Buffer = gloo::transport::UnboundBuffer;

constexpr size_t segment_bytes = size_t{1} << 20;         // of an owner's part, that is on its way at once
constexpr size_t scratch_limit = size_t{16} << 20;        // for the segments of all ranks
constexpr size_t small_bytes = size_t{32} << 10;          // tensors up to here are sent as a whole
constexpr size_t inline_bytes = 4096 - sizeof(uint64_t);  // of all_gather: sent with the length

std::chrono::milliseconds milliseconds(double seconds) {
  return std::chrono::milliseconds(static_cast<int64_t>(std::min(seconds, 1e9) * 1e3));
}

/// Where gloo's ranks find each other's addresses.
class GlooStore final : public gloo::rendezvous::Store {
 public:
  GlooStore(Meeting& meeting, double timeout) : meeting_(meeting), timeout_(timeout) {}

  void set(const std::string& key, const std::vector<char>& data) override {
    meeting_.store().set(full(key), {data.data(), data.size()});
  }
  std::vector<char> get(const std::string& key) override {
    const std::string value = meeting_.store().get(full(key), timeout_);
    return {value.begin(), value.end()};
  }
  void wait(const std::vector<std::string>& keys) override { wait(keys, milliseconds(timeout_)); }
  void wait(const std::vector<std::string>& keys, const std::chrono::milliseconds& timeout) override {
    std::vector<std::string> all;
    for (const std::string& key : keys) all.push_back(full(key));
    const auto missing = meeting_.store().wait(all, 1e-3 * static_cast<double>(timeout.count()));
    check(Exit::distributed, missing.empty(), "a rank did not connect within {:g} s", timeout_);
  }

 private:
  std::string full(const std::string& key) const { return meeting_.key("gloo/" + key); }

  Meeting& meeting_;
  double timeout_;
};

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

/// What this rank listens at: GLOO_SOCKET_IFNAME (as with PyTorch) if it is set, loopback if all ranks are on
/// one host, else the interface that leads to another host of the world.
gloo::transport::tcp::attr interface_for(const Meeting& meeting) {
  gloo::transport::tcp::attr attr;
  if (const char* name = std::getenv("GLOO_SOCKET_IFNAME"); name != nullptr && *name != 0) {
    const std::string_view names = name;
    attr.iface = names.substr(0, names.find(','));
    return attr;
  }
  attr.hostname = "127.0.0.1";
  if (meeting.on_one_host()) return attr;
  attr.hostname.clear();
  for (const Member& m : meeting.members()) {
    if (m.host == meeting.self().host) continue;
    attr.hostname = address_towards(m.host);
    if (!attr.hostname.empty() && !is_loopback(attr.hostname)) break;
  }
  return attr;  // without a host name gloo takes this host's
}

class Gloo final : public Comm {
 public:
  using Config = CommConfig;
  Gloo(const Config& config, const World& world);

 private:
  void do_all_reduce(const Call&, Tensor& t) override;
  void do_broadcast(const Call&, Tensor& t, int root) override;
  std::vector<std::string> do_all_gather(const Call&, std::string_view bytes) override;
  void do_abort(const std::string& why) override {
    meeting_.mark_failed();
    watch_->give_up(why);
  }

  void connect();
  void reduce_whole(const Call&, Tensor& t);
  void reduce_in_parts(const Call&, Tensor& t);
  template <class F>
  void run(const Call&, F&& collective);

  /// Bytes that one other rank sends to or gets from. gloo counts what has completed by buffer: with one for
  /// each rank, it is known who has come and who is missing.
  class Port;
  std::unique_ptr<Port> port(int peer, void* data, size_t bytes);
  template <class F>
  void each_peer(F&& f) {
    for (int p = 0; p < size(); ++p) {
      if (p != rank()) f(p);
    }
  }
  bool is_lost(int peer);
  void interrupt();

  std::byte* scratch(int r) { return scratch_.get() + static_cast<size_t>(r) * 2 * segment_; }

  double timeout_;
  Meeting meeting_;
  std::shared_ptr<gloo::transport::Device> device_;
  std::shared_ptr<gloo::rendezvous::Context> context_;
  std::mutex active_mutex_;
  std::vector<Port*> active_;  // those that somebody may wait on

  // By rank; those of this rank are empty.
  using Ports = std::vector<std::unique_ptr<Port>>;
  std::vector<std::unique_ptr<Buffer>> alive_;  // gets nothing, and fails when the connection breaks
  size_t segment_;                              // bytes
  std::unique_ptr<std::byte[]> scratch_;        // two segments for each rank
  Ports in_;                                    // over the rank's scratch
  Ports out_;                                   // over this rank's scratch
  std::vector<const std::byte*> parts_;         // of a sum
  std::unique_ptr<Watch> watch_;                // last: its thread uses all of the above
};

class Gloo::Port {
 public:
  Port(Gloo& comm, int peer, void* data, size_t bytes)
      : comm_(comm), peer_(peer), buffer_(comm.context_->createUnboundBuffer(data, bytes)) {
    const std::lock_guard lock(comm_.active_mutex_);
    comm_.active_.push_back(this);
  }
  ~Port() {
    const std::lock_guard lock(comm_.active_mutex_);
    std::erase(comm_.active_, this);
  }
  Port(const Port&) = delete;
  Port& operator=(const Port&) = delete;

  // They only begin; each is completed by a wait of its own. Equal slots meet, in the order of the calls.
  void send(uint64_t slot, size_t offset, size_t bytes) {
    guard([&] { return buffer_->send(peer_, slot, offset, bytes), true; });
  }
  void receive(uint64_t slot, size_t offset, size_t bytes) {
    guard([&] { return buffer_->recv(peer_, slot, offset, bytes), true; });
  }
  void wait_sent() {
    guard([&] { return buffer_->waitSend(backstop()); });
  }
  void wait_received() {
    guard([&] { return buffer_->waitRecv(backstop()); });
  }

  void interrupt() {
    buffer_->abortWaitSend();
    buffer_->abortWaitRecv();
  }

 private:
  /// The watch ends waits in time; this is for the case that it is held up itself.
  std::chrono::milliseconds backstop() const { return milliseconds(comm_.timeout_ + 2); }

  /// Until `act` succeeds or the watch says why it cannot.
  template <class F>
  void guard(F&& act) {
    comm_.watch_->wait_for(peer_);
    while (true) {
      bool failed = false;
      try {
        if (act()) return;
      } catch (const gloo::Exception& error) {
        log::debug("gloo: {}", error.what());
        failed = true;
      }
      comm_.watch_->resume(peer_, failed);
    }
  }

  Gloo& comm_;
  int peer_;
  std::unique_ptr<Buffer> buffer_;
};

std::unique_ptr<Gloo::Port> Gloo::port(int peer, void* data, size_t bytes) {
  return std::make_unique<Port>(*this, peer, data, bytes);
}

Gloo::Gloo(const Config& config, const World& world)
    : Comm(world.rank, world.size),
      timeout_(config.timeout),
      meeting_(world, config.timeout),
      segment_(std::min(segment_bytes, scratch_limit / 2 / static_cast<size_t>(world.size))) {
  const auto n = static_cast<size_t>(size());
  segment_ = std::max(segment_ / 64 * 64, small_bytes);
  scratch_ = std::make_unique_for_overwrite<std::byte[]>(n * 2 * segment_);
  connect();
  watch_ = std::make_unique<Watch>(
      meeting_, timeout_, [this](int peer) { return is_lost(peer); }, [this] { interrupt(); });
  alive_.resize(n);
  in_.resize(n);
  out_.resize(n);
  each_peer([&](int p) {
    const auto i = static_cast<size_t>(p);
    alive_[i] = context_->createUnboundBuffer(nullptr, 0);
    alive_[i]->recv(p, ~uint64_t{0}, 0, 0);
    in_[i] = port(p, scratch(p), 2 * segment_);
    out_[i] = port(p, scratch(rank()), 2 * segment_);
  });
}

void Gloo::connect() {
  try {
    const auto store = std::make_shared<GlooStore>(meeting_, timeout_);
    device_ = gloo::transport::tcp::CreateDevice(interface_for(meeting_));
    context_ = std::make_shared<gloo::rendezvous::Context>(rank(), size());
    context_->setTimeout(milliseconds(timeout_));
    // Newer versions take the store by pointer.
    const auto connect_mesh = [&](auto& context) {
      if constexpr (requires { context.connectFullMesh(*store, device_); }) {
        context.connectFullMesh(*store, device_);
      } else {
        context.connectFullMesh(store, device_);
      }
    };
    connect_mesh(*context_);
  } catch (const gloo::Exception& error) {
    meeting_.mark_failed();
    fail(Exit::distributed, "rank {} cannot connect to the other ranks: {}", rank(), error.what());
  }
}

/// The connection has broken. An interrupted wait looks for errors first, and does not wait.
bool Gloo::is_lost(int peer) {
  Buffer& buffer = *alive_[static_cast<size_t>(peer)];
  try {
    buffer.abortWaitRecv();
    buffer.waitRecv(milliseconds(timeout_));
    return false;
  } catch (const gloo::Exception&) {
    return true;
  }
}

void Gloo::interrupt() {
  const std::lock_guard lock(active_mutex_);
  for (Port* port : active_) port->interrupt();
}

template <class F>
void Gloo::run(const Call& call, F&& collective) {
  try {
    watch_->begin(call.sequence, call.text);
    collective();
    watch_->end();
  } catch (...) {
    meeting_.mark_failed();
    throw;
  }
}

/// Messages meet by slot: those of different calls, or of different steps of a call, never do.
uint64_t slot(uint64_t sequence, uint64_t signature, uint64_t step) {
  return ((signature ^ (sequence * 0x9e3779b97f4a7c15)) & ~uint64_t{7}) | step;
}

void Gloo::do_all_reduce(const Call& call, Tensor& t) {
  if (t.numel() == 0) return;
  run(call, [&] { t.bytes() <= small_bytes ? reduce_whole(call, t) : reduce_in_parts(call, t); });
}

void Gloo::reduce_whole(const Call& call, Tensor& t) {
  const uint64_t all = slot(call.sequence, call.signature, 0);
  std::memcpy(scratch(rank()), t.raw(), t.bytes());
  each_peer([&](int p) { in_[static_cast<size_t>(p)]->receive(all, 0, t.bytes()); });
  each_peer([&](int p) { out_[static_cast<size_t>(p)]->send(all, 0, t.bytes()); });
  each_peer([&](int p) { in_[static_cast<size_t>(p)]->wait_received(); });
  parts_.clear();
  for (int r = 0; r < size(); ++r) parts_.push_back(scratch(r));
  sum_in_order(t.dtype(), parts_, t.raw(), static_cast<size_t>(t.numel()));
  each_peer([&](int p) { out_[static_cast<size_t>(p)]->wait_sent(); });
}

void Gloo::reduce_in_parts(const Call& call, Tensor& t) {
  const uint64_t gather = slot(call.sequence, call.signature, 1);
  const uint64_t spread = slot(call.sequence, call.signature, 2);
  const auto n = static_cast<size_t>(size());
  const auto count = static_cast<size_t>(t.numel());
  const size_t width = size_of(t.dtype());
  const size_t most = segment_ / width;  // elements of a segment
  const size_t segments = ((count + n - 1) / n + most - 1) / most;

  // Bytes [begin, begin + size) of t: segment s of rank r's part.
  struct Span {
    size_t begin, size;
  };
  const auto span = [&](int r, size_t s) {
    const auto i = static_cast<size_t>(r);
    const size_t stop = count * (i + 1) / n;
    const size_t begin = std::min(count * i / n + s * most, stop);
    return Span{begin * width, std::min(most, stop - begin) * width};
  };

  Ports whole(n);  // over t
  each_peer([&](int p) { whole[static_cast<size_t>(p)] = port(p, t.raw(), t.bytes()); });
  const auto exchange = [&](size_t s) {
    each_peer([&](int p) {
      in_[static_cast<size_t>(p)]->receive(gather, (s % 2) * segment_, span(rank(), s).size);
    });
    each_peer([&](int p) {
      const Span theirs = span(p, s);
      whole[static_cast<size_t>(p)]->send(gather, theirs.begin, theirs.size);
    });
  };

  // A rank's part is overwritten by its owner's sum only after the owner has got what was here.
  for (size_t s = 0; s < segments; ++s) {
    each_peer([&](int p) {
      const Span theirs = span(p, s);
      whole[static_cast<size_t>(p)]->receive(spread, theirs.begin, theirs.size);
    });
  }
  exchange(0);
  if (segments > 1) exchange(1);
  for (size_t s = 0; s < segments; ++s) {
    const Span mine = span(rank(), s);
    each_peer([&](int p) { in_[static_cast<size_t>(p)]->wait_received(); });
    parts_.clear();
    for (int r = 0; r < size(); ++r) {
      parts_.push_back(r == rank() ? t.raw() + mine.begin : scratch(r) + (s % 2) * segment_);
    }
    sum_in_order(t.dtype(), parts_, t.raw() + mine.begin, mine.size / width);
    each_peer([&](int p) { whole[static_cast<size_t>(p)]->send(spread, mine.begin, mine.size); });
    if (s + 2 < segments) exchange(s + 2);
  }
  each_peer([&](int p) {
    Port& port = *whole[static_cast<size_t>(p)];
    for (size_t s = 0; s < segments; ++s) port.wait_received();
    for (size_t s = 0; s < 2 * segments; ++s) port.wait_sent();
  });
}

void Gloo::do_broadcast(const Call& call, Tensor& t, int root) {
  if (t.numel() == 0) return;
  const uint64_t all = slot(call.sequence, call.signature, 0);
  run(call, [&] {
    if (rank() != root) {
      const auto from = port(root, t.raw(), t.bytes());
      from->receive(all, 0, t.bytes());
      return from->wait_received();
    }
    Ports to(static_cast<size_t>(size()));
    each_peer([&](int p) { to[static_cast<size_t>(p)] = port(p, t.raw(), t.bytes()); });
    each_peer([&](int p) { to[static_cast<size_t>(p)]->send(all, 0, t.bytes()); });
    each_peer([&](int p) { to[static_cast<size_t>(p)]->wait_sent(); });
  });
}

std::vector<std::string> Gloo::do_all_gather(const Call& call, std::string_view bytes) {
  const uint64_t first = slot(call.sequence, call.signature, 0);
  const uint64_t second = slot(call.sequence, call.signature, 1);
  std::vector<std::string> all(static_cast<size_t>(size()));
  run(call, [&] {
    // The length and as much as fits into a small message; most often that is all.
    const uint64_t length = bytes.size();
    const size_t head = std::min(bytes.size(), inline_bytes);
    std::memcpy(scratch(rank()), &length, sizeof length);
    std::memcpy(scratch(rank()) + sizeof length, bytes.data(), head);
    each_peer([&](int p) { in_[static_cast<size_t>(p)]->receive(first, 0, sizeof length + inline_bytes); });
    each_peer([&](int p) { out_[static_cast<size_t>(p)]->send(first, 0, sizeof length + head); });

    Ports from(all.size()), to(all.size());
    each_peer([&](int p) {
      const auto i = static_cast<size_t>(p);
      in_[i]->wait_received();
      uint64_t size = 0;
      std::memcpy(&size, scratch(p), sizeof size);
      all[i].resize(size);
      std::memcpy(all[i].data(), scratch(p) + sizeof size, std::min<size_t>(size, inline_bytes));
      if (size <= inline_bytes) return;
      from[i] = port(p, all[i].data(), size);
      from[i]->receive(second, inline_bytes, size - inline_bytes);
    });
    all[static_cast<size_t>(rank())] = bytes;
    each_peer([&](int p) { out_[static_cast<size_t>(p)]->wait_sent(); });
    if (length > inline_bytes) {
      each_peer([&](int p) {
        const auto i = static_cast<size_t>(p);
        to[i] = port(p, all[static_cast<size_t>(rank())].data(), length);
        to[i]->send(second, inline_bytes, length - inline_bytes);
      });
      each_peer([&](int p) { to[static_cast<size_t>(p)]->wait_sent(); });
    }
    each_peer([&](int p) {
      if (from[static_cast<size_t>(p)]) from[static_cast<size_t>(p)]->wait_received();
    });
  });
  return all;
}

const bool registered = backends().add<Gloo>("gloo");

}  // namespace
}  // namespace trainer::comm
