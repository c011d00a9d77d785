// The server of lib/base/store.h: one thread, epoll, and a small state machine per connection.
#include <pthread.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <map>
#include <set>
#include <thread>
#include <unordered_map>

#include "lib/base/socket.h"
#include "lib/base/store.h"
#include "lib/base/store_protocol.h"
#include "lib/base/system.h"

namespace trainer {
namespace {

using store::Fields;
using store::Op;
using store::Status;

constexpr double greeting_time = 30;  // seconds that a connection may take to send its greeting

struct Client {
  Fd fd;
  bool greeted = false;
  std::string in, out;            ///< bytes received, bytes to send
  size_t sent = 0;                ///< of `out`
  Op waiting{};                   ///< get or wait while its answer is outstanding
  std::set<std::string> missing;  ///< keys that it waits for
  double deadline = 0;            ///< of the greeting or of the wait; 0: none
  uint32_t events = EPOLLIN;      ///< that epoll reports
};

class Server {
 public:
  Server(Fd listener, int stop)
      : listener_(std::move(listener)), stop_(stop), epoll_(::epoll_create1(EPOLL_CLOEXEC)) {
    check(Exit::distributed, epoll_.valid() && stop >= 0, "cannot serve a store: {}", std::strerror(errno));
    watch(EPOLL_CTL_ADD, listener_.get(), EPOLLIN);
    watch(EPOLL_CTL_ADD, stop_, EPOLLIN);
  }

  void run() {
    std::array<epoll_event, 64> events{};
    for (;;) {
      const int n =
          ::epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()), milliseconds_to_next());
      for (int i = 0; i < n; ++i) {
        const epoll_event& event = events[static_cast<size_t>(i)];
        if (event.data.fd == stop_) return;
        if (event.data.fd == listener_.get()) {
          accept_all();
        } else if (clients_.contains(event.data.fd)) {
          handle(clients_.at(event.data.fd), event.events);
        }
      }
      expire();
    }
  }

 private:
  void watch(int operation, int fd, uint32_t events) const {
    epoll_event event{};
    event.events = events;
    event.data.fd = fd;
    ::epoll_ctl(epoll_.get(), operation, fd, &event);
  }

  void set_deadline(Client& client, double when) {
    if (client.deadline > 0) deadlines_.erase({client.deadline, client.fd.get()});
    client.deadline = when;
    if (when > 0) deadlines_.emplace(when, client.fd.get());
  }

  int milliseconds_to_next() const {
    double left = deadlines_.empty() ? 1e6 : deadlines_.begin()->first - now();
    if (listener_paused_) left = std::min(left, 0.1);
    return static_cast<int>(std::clamp(left * 1e3 + 1, 0.0, 1e9));
  }

  /// Answers waits whose timeout has passed, closes connections that have not greeted in time.
  void expire() {
    if (listener_paused_) {
      listener_paused_ = false;
      watch(EPOLL_CTL_MOD, listener_.get(), EPOLLIN);
    }
    while (!deadlines_.empty() && deadlines_.begin()->first <= now()) {
      const int fd = deadlines_.begin()->second;
      Client& client = clients_.at(fd);
      if (!client.greeted) {
        close(fd);
      } else {
        finish_wait(client);
        if (!serve(client)) close(fd);
      }
    }
  }

  void accept_all() {
    for (;;) {
      Fd fd(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
      if (!fd.valid()) {
        if (errno == EINTR || errno == ECONNABORTED) continue;
        if (errno != EAGAIN) {  // out of descriptors or memory: try again a little later
          listener_paused_ = true;
          watch(EPOLL_CTL_MOD, listener_.get(), 0);
        }
        return;
      }
      if (!peer_is_trusted(fd.get())) continue;
      const int number = fd.get();
      Client& client = clients_[number];
      client.fd = std::move(fd);
      set_deadline(client, now() + greeting_time);
      watch(EPOLL_CTL_ADD, number, client.events);
    }
  }

  void handle(Client& client, uint32_t events) {
    const bool gone = (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0;
    if ((gone && client.waiting != Op{}) || !serve(client)) close(client.fd.get());
  }

  void close(int fd) {
    Client& client = clients_.at(fd);
    stop_waiting(client);
    set_deadline(client, 0);
    clients_.erase(fd);
  }

  void stop_waiting(Client& client) {
    for (const std::string& key : client.missing) {
      const auto waiters = waiters_.find(key);
      if (waiters == waiters_.end()) continue;
      waiters->second.erase(client.fd.get());
      if (waiters->second.empty()) waiters_.erase(waiters);
    }
    client.missing.clear();
    client.waiting = {};
  }

  /// Reads, answers and writes as far as possible without blocking. Returns false to close the connection.
  bool serve(Client& client) {
    do {
      if (!flush(client)) return false;
      // No new request before the last answer is sent: that bounds the memory of a connection.
      if (!client.out.empty() || client.waiting != Op{}) break;
      if (!handle_next(client)) return false;
    } while (!client.out.empty() || client.waiting != Op{});
    // While a client waits, what it sends stays in the kernel; only a disconnect is of interest.
    const uint32_t events = !client.out.empty() ? EPOLLOUT : client.waiting != Op{} ? EPOLLRDHUP : EPOLLIN;
    if (events != client.events) watch(EPOLL_CTL_MOD, client.fd.get(), client.events = events);
    return true;
  }

  static bool flush(Client& client) {
    while (client.sent < client.out.size()) {
      const ssize_t n = ::send(client.fd.get(), client.out.data() + client.sent,
                               client.out.size() - client.sent, MSG_NOSIGNAL);
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) return errno == EAGAIN;
      client.sent += static_cast<size_t>(n);
    }
    client.out = {};  // frees a large buffer
    client.sent = 0;
    return true;
  }

  /// Reads up to the end of one message and handles it; an incomplete one waits for more bytes.
  bool handle_next(Client& client) {
    const size_t head = client.greeted ? sizeof(uint32_t) : store::client_greeting.size();
    bool open = read_up_to(client, head);
    if (!client.greeted) {
      const auto expected = store::client_greeting.substr(0, client.in.size());
      if (client.in != expected) return false;  // HTTP, TLS, a port scan ...
      if (client.in.size() < head) return open;
      client.greeted = true;
      client.in.clear();
      client.out = store::server_greeting;
      set_deadline(client, 0);
      return true;
    }
    if (client.in.size() < head) return open;
    uint32_t size = 0;
    std::memcpy(&size, client.in.data(), sizeof size);
    if (size == 0 || size > store::max_message) return false;
    open = read_up_to(client, head + size);
    if (client.in.size() < head + size) return open;
    const std::string message = std::exchange(client.in, {});
    return answer(client, Fields(std::string_view(message).substr(head)));
  }

  /// False if the other end has closed. Memory grows with the bytes received, not with the length announced.
  static bool read_up_to(Client& client, size_t size) {
    while (client.in.size() < size) {
      const size_t have = client.in.size();
      const size_t most = std::min(size - have, std::max<size_t>(4096, have));
      client.in.resize(have + most);
      const ssize_t n = ::recv(client.fd.get(), client.in.data() + have, most, 0);
      client.in.resize(have + static_cast<size_t>(std::max<ssize_t>(n, 0)));
      if (n < 0 && errno == EINTR) continue;
      if (n <= 0) return n < 0 && errno == EAGAIN;
    }
    return true;
  }

  static void reply(Client& client, Status status, std::string_view payload) {
    store::put(client.out, static_cast<uint32_t>(payload.size() + 1));
    store::put(client.out, status);
    client.out += payload;
  }

  /// Returns false for a malformed request.
  bool answer(Client& client, Fields fields) {
    switch (fields.number<Op>()) {
      case Op::set: {
        const std::string key(fields.key());
        const std::string_view value = fields.rest();
        if (!fields.ok()) return false;
        values_[key] = value;
        reply(client, Status::ok, {});
        wake(key);
        return true;
      }
      case Op::get:
        return start_wait(client, Op::get, fields);
      case Op::wait:
        return start_wait(client, Op::wait, fields);
      case Op::add: {
        const std::string key(fields.key());
        const auto amount = fields.number<int64_t>();
        if (!fields.ok() || !fields.empty()) return false;
        add(client, key, amount);
        return true;
      }
      case Op::erase: {
        const std::string key(fields.key());
        if (!fields.ok() || !fields.empty()) return false;
        reply(client, Status::ok, {values_.erase(key) != 0 ? "\1" : "\0", 1});
        return true;
      }
    }
    return false;
  }

  void add(Client& client, const std::string& key, int64_t amount) {
    std::string& value = values_[key];
    int64_t sum = 0;
    if (!value.empty()) {
      const char* end = value.data() + value.size();
      const auto parsed = std::from_chars(value.data(), end, sum);
      if (parsed.ec != std::errc() || parsed.ptr != end)
        return reply(client, Status::failure, "its value is not a number");
    }
    if (__builtin_add_overflow(sum, amount, &sum))
      return reply(client, Status::failure, "the sum does not fit 64 bits");
    value = std::to_string(sum);
    std::string payload;
    store::put(payload, sum);
    reply(client, Status::ok, payload);
    wake(key);
  }

  bool start_wait(Client& client, Op op, Fields fields) {
    const double seconds = static_cast<double>(fields.number<uint64_t>()) * 1e-6;
    std::string first;
    while (fields.ok() && !fields.empty()) {
      const std::string key(fields.key());
      if (first.empty()) first = key;
      if (!values_.contains(key)) client.missing.insert(key);
    }
    if (!fields.ok() || (op == Op::get && first.empty())) {
      client.missing.clear();
      return false;
    }
    if (client.missing.empty() && op == Op::get) {
      reply(client, Status::ok, values_.at(first));
      return true;
    }
    client.waiting = op;
    if (client.missing.empty() || seconds <= 0) {
      finish_wait(client);
      return true;
    }
    for (const std::string& key : client.missing) waiters_[key].insert(client.fd.get());
    set_deadline(client, now() + seconds);
    return true;
  }

  /// Answers a wait that is over, with the keys that are still missing.
  void finish_wait(Client& client) {
    if (client.waiting == Op::get) {
      reply(client, Status::missing, {});
    } else {
      std::string payload;
      for (const std::string& key : client.missing) store::put_key(payload, key);
      reply(client, Status::ok, payload);
    }
    stop_waiting(client);
    set_deadline(client, 0);
  }

  /// `key` was set: answers the clients for which it was the last one missing.
  void wake(const std::string& key) {
    const auto found = waiters_.find(key);
    if (found == waiters_.end()) return;
    const std::set<int> waiting = std::move(found->second);
    waiters_.erase(found);
    for (const int fd : waiting) {
      Client& client = clients_.at(fd);
      client.missing.erase(key);
      if (!client.missing.empty()) continue;
      if (client.waiting == Op::get) {
        reply(client, Status::ok, values_.at(key));
        stop_waiting(client);
        set_deadline(client, 0);
      } else {
        finish_wait(client);
      }
      // The event loop sends it, and closes the connection if the client is gone.
      watch(EPOLL_CTL_MOD, fd, client.events = EPOLLOUT);
    }
  }

  Fd listener_;
  int stop_;
  Fd epoll_;
  bool listener_paused_ = false;
  std::unordered_map<int, Client> clients_;
  std::set<std::pair<double, int>> deadlines_;
  std::unordered_map<std::string, std::string> values_;
  std::unordered_map<std::string, std::set<int>> waiters_;  ///< key -> clients that wait for it
};

}  // namespace

struct StoreServer::State {
  Fd stop{::eventfd(0, EFD_CLOEXEC)};
  std::thread thread;
};

StoreServer::StoreServer(const std::string& address) : state_(std::make_unique<State>()) {
  Listener listener = listen_at(address);
  address_ = listener.address;
  auto server = std::make_shared<Server>(std::move(listener.fd), state_->stop.get());
  // The server's thread handles no signals.
  sigset_t all, before;
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);
  state_->thread = std::thread([server] { server->run(); });
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

StoreServer::~StoreServer() {
  const uint64_t one = 1;
  (void)!::write(state_->stop.get(), &one, sizeof one);
  state_->thread.join();
}

}  // namespace trainer
