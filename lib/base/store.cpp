// The client of lib/base/store.h.
#include "lib/base/store.h"

#include <poll.h>

#include <algorithm>
#include <chrono>
#include <mutex>
#include <thread>

#include "lib/base/socket.h"
#include "lib/base/store_protocol.h"
#include "lib/base/system.h"

namespace trainer {
namespace {

using store::Op;
using store::Status;

/// Seconds that an answer may take beyond the timeout of the request itself, on a busy machine.
constexpr double answer_time = 30;

struct Reply {
  Status status = Status::ok;
  std::string payload;
};

uint64_t microseconds(double seconds) { return static_cast<uint64_t>(std::clamp(seconds, 0.0, 1e12) * 1e6); }

/// Exchanges greetings. Returns "" if the other end is a store, else why not (yet).
std::string greet(int fd, const std::string& address, double deadline) {
  check(Exit::distributed, peer_is_trusted(fd), "store {}: a process of another user listens there", address);
  char answer[8]{};
  static_assert(store::server_greeting.size() == sizeof answer);
  const Transfer sent = send_all(fd, store::client_greeting.data(), store::client_greeting.size(), deadline);
  const Transfer received = sent == Transfer::done ? receive_all(fd, answer, sizeof answer, deadline) : sent;
  if (received == Transfer::timed_out) return "what listens there does not answer the store's greeting";
  if (received == Transfer::closed) return "what listens there closes the connection";
  check(Exit::distributed, std::string_view(answer, sizeof answer) == store::server_greeting,
        "store {}: what listens there is another program, not a store; choose another port", address);
  return {};
}

}  // namespace

/// A pool of connections, one per call at a time: a call that waits does not hold up others.
struct Store::Connection {
  std::string address;
  std::mutex mutex;
  std::vector<Fd> idle;
  std::string broken;  ///< why all further calls fail; "" if they do not

  /// Connects once; an invalid descriptor and `reason` otherwise.
  Fd open(double deadline, std::string& reason) const {
    Fd fd = connect_to(address, deadline, reason);
    if (fd.valid()) reason = greet(fd.get(), address, deadline);
    if (!reason.empty()) fd.reset();
    return fd;
  }

  Fd borrow() {
    {
      const std::lock_guard lock(mutex);
      check(Exit::distributed, broken.empty(), "{}", broken);
      if (!idle.empty()) {
        Fd fd = std::move(idle.back());
        idle.pop_back();
        return fd;
      }
    }
    std::string reason;
    Fd fd = open(now() + answer_time, reason);
    if (!fd.valid()) give_up(fmt::format("store {}: {}", address, reason));
    return fd;
  }

  void give_back(Fd fd) {
    const std::lock_guard lock(mutex);
    idle.push_back(std::move(fd));
  }

  /// The server is lost, and its keys with it: a new server at the address must not be used.
  [[noreturn]] void give_up(const std::string& message) {
    const std::lock_guard lock(mutex);
    if (broken.empty()) broken = message;
    throw Error(Exit::distributed, broken);
  }

  /// `doing` names the call and its key in messages; `seconds` is how long the server may wait.
  Reply call(const std::string& request, double seconds, const std::string& doing) {
    check(Exit::distributed, request.size() <= store::max_message,
          "store {}: {}: {} bytes are more than the {} that a message may have", address, doing,
          request.size(), store::max_message);
    Fd fd = borrow();
    const double deadline = now() + std::clamp(seconds, 0.0, 1e9) + answer_time;
    std::string framed;
    framed.reserve(request.size() + sizeof(uint32_t));
    store::put(framed, static_cast<uint32_t>(request.size()));
    framed += request;
    Transfer state = send_all(fd.get(), framed.data(), framed.size(), deadline);
    uint32_t size = 0;
    Reply reply;
    if (state == Transfer::done) state = receive_all(fd.get(), &size, sizeof size, deadline);
    if (state == Transfer::done && (size == 0 || size > store::max_message)) state = Transfer::closed;
    if (state == Transfer::done) state = receive_all(fd.get(), &reply.status, 1, deadline);
    if (state == Transfer::done) {
      reply.payload.resize(size - 1);
      state = receive_all(fd.get(), reply.payload.data(), size - 1, deadline);
    }
    if (state == Transfer::closed)
      give_up(fmt::format("store {}: the server closed the connection during {}", address, doing));
    if (state == Transfer::timed_out)
      give_up(fmt::format("store {}: the server does not answer {}", address, doing));
    give_back(std::move(fd));
    check(Exit::distributed, reply.status != Status::failure, "store {}: {}: {}", address, doing,
          reply.payload);
    return reply;
  }

  std::string request(Op op) const { return {static_cast<char>(op)}; }
  void check_key(std::string_view key) const {
    check(Exit::distributed, !key.empty() && key.size() <= store::max_key,
          "store {}: a key has 1 to {} bytes, not {}", address, store::max_key, key.size());
  }
};

Store::Store(const std::string& address, double timeout) : connection_(std::make_unique<Connection>()) {
  connection_->address = address;
  const double begin = now(), deadline = begin + timeout;
  std::string reason;
  for (auto pause = std::chrono::milliseconds(1);;
       pause = std::min(2 * pause, std::chrono::milliseconds(100))) {
    Fd fd = connection_->open(std::max(deadline, begin + 0.1), reason);
    if (fd.valid()) {
      connection_->give_back(std::move(fd));
      return;
    }
    check(Exit::distributed, now() + 1e-3 * static_cast<double>(pause.count()) < deadline,
          "store {}: cannot connect within {:.1f} s: {}", address, timeout, reason);
    std::this_thread::sleep_for(pause);
  }
}

Store::~Store() = default;

void Store::set(std::string_view key, std::string_view value) {
  connection_->check_key(key);
  std::string request = connection_->request(Op::set);
  store::put_key(request, key);
  request += value;
  connection_->call(request, 0, fmt::format("set({})", key));
}

std::string Store::get(std::string_view key, double timeout) {
  connection_->check_key(key);
  std::string request = connection_->request(Op::get);
  store::put(request, microseconds(timeout));
  store::put_key(request, key);
  Reply reply = connection_->call(request, timeout, fmt::format("get({})", key));
  check(Exit::distributed, reply.status == Status::ok, "store {}: {} was not set within {:.1f} s",
        connection_->address, key, timeout);
  return std::move(reply.payload);
}

std::vector<std::string> Store::wait(const std::vector<std::string>& keys, double timeout) {
  std::string request = connection_->request(Op::wait);
  store::put(request, microseconds(timeout));
  for (const std::string& key : keys) {
    connection_->check_key(key);
    store::put_key(request, key);
  }
  const std::string doing =
      keys.empty() ? "wait()" : fmt::format("wait({}{})", keys[0], keys.size() > 1 ? ", ..." : "");
  const Reply reply = connection_->call(request, timeout, doing);
  std::vector<std::string> missing;
  store::Fields fields(reply.payload);
  while (fields.ok() && !fields.empty()) missing.emplace_back(fields.key());
  return missing;
}

int64_t Store::add(std::string_view key, int64_t amount) {
  connection_->check_key(key);
  std::string request = connection_->request(Op::add);
  store::put_key(request, key);
  store::put(request, amount);
  const Reply reply = connection_->call(request, 0, fmt::format("add({})", key));
  return store::Fields(reply.payload).number<int64_t>();
}

bool Store::erase(std::string_view key) {
  connection_->check_key(key);
  std::string request = connection_->request(Op::erase);
  store::put_key(request, key);
  const Reply reply = connection_->call(request, 0, fmt::format("erase({})", key));
  return store::Fields(reply.payload).number<uint8_t>() != 0;
}

}  // namespace trainer
