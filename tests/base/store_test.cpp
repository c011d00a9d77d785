// The store: its calls, many clients, and whatever else may be sent to an open port.
#include "lib/base/store.h"

#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <atomic>
#include <thread>

#include "lib/base/socket.h"
#include "lib/base/store_protocol.h"
#include "lib/base/system.h"
#include "tests/error_of.h"

using namespace trainer;

namespace {

std::string unique_unix_address() {
  static std::atomic<int> count = 0;
  return fmt::format("unix:@trainer-test-{}-{}", ::getpid(), ++count);
}

std::string message_of(const std::function<void()>& f, Exit code = Exit::distributed) {
  return trainer::error_of(f, code);
}

Fd raw_connection(const std::string& address) {
  std::string reason;
  Fd fd = connect_to(address, now() + 5, reason);
  REQUIRE(fd.valid());
  return fd;
}

void send_text(const Fd& fd, std::string_view text) {
  send_all(fd.get(), text.data(), text.size(), now() + 5);
}

/// The server has closed this connection (within five seconds).
bool is_closed(const Fd& fd) {
  char buffer[64];
  return receive_all(fd.get(), buffer, sizeof buffer, now() + 5) == Transfer::closed;
}

std::string greeted(std::string_view more) { return std::string(store::client_greeting) + std::string(more); }

}  // namespace

TEST_CASE("store: set, get, add, erase, wait, over TCP and a local socket") {
  for (const std::string& address :
       {std::string("127.0.0.1:0"), std::string("localhost:0"), unique_unix_address()}) {
    INFO(address);
    const StoreServer server(address);
    CHECK(server.address().ends_with(":0") == false);
    Store store(server.address(), 5);
    store.set("a", "1");
    CHECK(store.get("a", 0) == "1");
    store.set("a", std::string("\0\xff\n", 3));
    CHECK(store.get("a", 0) == std::string("\0\xff\n", 3));
    store.set("empty", "");
    CHECK(store.get("empty", 0).empty());
    CHECK(store.add("n", 5) == 5);
    CHECK(store.add("n", -7) == -2);
    CHECK(store.get("n", 0) == "-2");
    CHECK(store.erase("n"));
    CHECK_FALSE(store.erase("n"));
    CHECK(store.wait({"a", "b", "c"}, 0.01) == std::vector<std::string>{"b", "c"});
    CHECK(store.wait({"a", "empty"}, 5).empty());
    CHECK(store.wait({}, 5).empty());
  }
}

TEST_CASE("store: every failure names the address and the key") {
  auto server = std::make_unique<StoreServer>("127.0.0.1:0");
  const std::string address = server->address();
  Store store(address, 5);
  CHECK_THAT(message_of([&] { store.get("missing/key", 0.02); }),
             ContainsSubstring(address) && ContainsSubstring("missing/key"));
  store.set("word", "seven");
  CHECK_THAT(message_of([&] { store.add("word", 1); }),
             ContainsSubstring("word") && ContainsSubstring("not a number"));
  store.set("big", "9223372036854775807");
  CHECK_THAT(message_of([&] { store.add("big", 1); }), ContainsSubstring("64 bits"));
  CHECK_THAT(message_of([&] { store.set("", "x"); }), ContainsSubstring("1 to 4096"));
  CHECK_THAT(message_of([&] { store.set(std::string(5000, 'k'), "x"); }), ContainsSubstring("5000"));
  CHECK_THAT(message_of([&] { store.set("x", std::string(65 << 20, 'v')); }), ContainsSubstring("set(x)"));
  CHECK(store.get("word", 0) == "seven");  // none of these broke the connection

  CHECK_THAT(message_of([&] { const StoreServer second(address); }),
             ContainsSubstring(address) && ContainsSubstring("in use"));
  server.reset();
  CHECK_THAT(message_of([&] { store.set("a", "b"); }), ContainsSubstring(address));
  const double begin = now();
  CHECK_THAT(message_of([&] { const Store late(address, 0.2); }),
             ContainsSubstring("cannot connect within 0.2 s"));
  CHECK(now() - begin < 2);
}

TEST_CASE("store: a client may come before the server") {
  const std::string address = unique_unix_address();
  std::string got;
  std::thread client([&] { got = Store(address, 10).get("key", 10); });
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  const StoreServer server(address);
  Store(address, 5).set("key", "value");
  client.join();
  CHECK(got == "value");
}

TEST_CASE("store: a call that waits holds up no other, of the same client or of others") {
  const StoreServer server("127.0.0.1:0");
  Store store(server.address(), 5);
  std::string got;
  std::vector<std::string> missing{"?"};
  std::thread getter([&] { got = store.get("later", 20); });
  std::thread waiter([&] { missing = store.wait({"later", "last"}, 20); });
  std::this_thread::sleep_for(std::chrono::milliseconds(30));
  Store(server.address(), 5).set("later", "now");
  getter.join();
  CHECK(got == "now");
  CHECK(store.add("last", 1) == 1);
  waiter.join();
  CHECK(missing.empty());
}

TEST_CASE("store: fifty clients count and meet") {
  const StoreServer server(unique_unix_address());
  constexpr int clients = 50;
  std::vector<std::thread> threads;
  std::atomic<int> met = 0;
  for (int i = 0; i < clients; ++i) {
    threads.emplace_back([&, i] {
      Store store(server.address(), 20);
      for (int k = 0; k < 20; ++k) store.add("sum", i);
      store.set(fmt::format("here/{}", i), "1");
      std::vector<std::string> keys;
      for (int k = 0; k < clients; ++k) keys.push_back(fmt::format("here/{}", k));
      if (store.wait(keys, 20).empty()) ++met;
    });
  }
  for (std::thread& t : threads) t.join();
  CHECK(met == clients);
  CHECK(Store(server.address(), 5).get("sum", 0) == std::to_string(20 * clients * (clients - 1) / 2));
}

TEST_CASE("store: values of megabytes arrive whole") {
  const StoreServer server("127.0.0.1:0");
  Store store(server.address(), 5);
  std::string value(20 << 20, '\0');
  for (size_t i = 0; i < value.size(); ++i) value[i] = static_cast<char>(i * 7 + i / 255);
  store.set("big", value);
  CHECK(Store(server.address(), 5).get("big", 5) == value);
}

TEST_CASE("store: a malformed request closes its own connection only") {
  const StoreServer server("127.0.0.1:0");
  Store store(server.address(), 5);
  store.set("kept", "yes");
  const uint32_t huge = 0xffffffff, key_too_long = 100;
  const std::string request_too_long(reinterpret_cast<const char*>(&huge), 4);
  std::string half_key;
  store::put(half_key, uint32_t{5});
  store::put(half_key, store::Op::set);
  store::put(half_key, key_too_long);
  for (const std::string& bytes :
       {std::string("GET / HTTP/1.1\r\n\r\n"), std::string("\x16\x03\x01\x02\x00", 5),
        std::string(1 << 16, 'x'), greeted(request_too_long), greeted(std::string(4, '\0')),
        greeted(half_key), greeted(std::string("\1\0\0\0\x63", 5))}) {
    const Fd fd = raw_connection(server.address());
    send_text(fd, bytes);
    char greeting[8];
    if (bytes.starts_with(store::client_greeting))
      receive_all(fd.get(), greeting, sizeof greeting, now() + 5);
    CHECK(is_closed(fd));
    CHECK(store.get("kept", 0) == "yes");
  }
  // Half a greeting, half a length, half a request; then gone or silent.
  std::vector<Fd> silent;
  for (const std::string& bytes :
       {std::string("trai"), greeted("\x10"), greeted(std::string("\x10\0\0\0\1\2", 6))}) {
    send_text(raw_connection(server.address()), bytes);
    silent.push_back(raw_connection(server.address()));
    send_text(silent.back(), bytes);
    CHECK(store.get("kept", 0) == "yes");
  }
}

TEST_CASE("store: a client that leaves while it waits is forgotten, one that never reads is not waited for") {
  const StoreServer server("127.0.0.1:0");
  Store store(server.address(), 5);
  store.set("big", std::string(30 << 20, 'b'));
  std::string get_big, wait_long;
  store::put(get_big, static_cast<uint32_t>(1 + 8 + 4 + 3));
  store::put(get_big, store::Op::get);
  store::put(get_big, uint64_t{0});
  store::put_key(get_big, "big");
  wait_long = get_big;
  const uint64_t hour = 3'600'000'000;
  std::memcpy(wait_long.data() + 5, &hour, sizeof hour);
  wait_long.replace(wait_long.size() - 3, 3, "not");
  const Fd deaf = raw_connection(server.address());
  send_text(deaf, greeted(get_big + get_big + get_big));
  for (int i = 0; i < 20; ++i) send_text(raw_connection(server.address()), greeted(wait_long));
  store.set("not", "now it is");
  CHECK(store.get("not", 0) == "now it is");
}

TEST_CASE("store: connecting to another kind of server is an error") {
  const Listener listener = listen_at("127.0.0.1:0");
  std::thread http([&] {
    wait_for(listener.fd.get(), POLLIN, now() + 10);
    const Fd fd(::accept(listener.fd.get(), nullptr, nullptr));
    send_text(fd, "HTTP/1.1 400 Bad Request\r\n\r\n");
    std::this_thread::sleep_for(std::chrono::milliseconds(200));
  });
  CHECK_THAT(message_of([&] { const Store store(listener.address, 5); }),
             ContainsSubstring("another program, not a store"));
  http.join();
  CHECK_THAT(message_of([&] { const Store store(listener.address, 0.1); }),
             ContainsSubstring("does not answer"));
}

TEST_CASE("store: the server recovers from running out of descriptors") {
  const StoreServer server(unique_unix_address());
  Store store(server.address(), 5);
  rlimit before{};
  ::getrlimit(RLIMIT_NOFILE, &before);
  {
    rlimit few = before;
    few.rlim_cur = 40;
    ::setrlimit(RLIMIT_NOFILE, &few);
    std::vector<Fd> all;
    std::string reason;
    for (int i = 0; i < 100; ++i) all.push_back(connect_to(server.address(), now() + 0.1, reason));
    store.set("still", "here");
    CHECK(store.get("still", 0) == "here");
  }
  ::setrlimit(RLIMIT_NOFILE, &before);
  CHECK(Store(server.address(), 5).get("still", 0) == "here");
}

TEST_CASE("store: the server's thread takes no signals") {
  const StoreServer server("127.0.0.1:0");
  static std::atomic<pthread_t> handled{};
  struct sigaction action {
  }, before{};
  action.sa_handler = [](int) { handled = ::pthread_self(); };
  ::sigaction(SIGUSR2, &action, &before);
  ::kill(::getpid(), SIGUSR2);
  Store(server.address(), 5).set("a", "b");
  CHECK(handled.load() == ::pthread_self());
  ::sigaction(SIGUSR2, &before, nullptr);
}

TEST_CASE("host:port is parsed and joined, with brackets around IPv6") {
  CHECK(parse_host_port("a.b:29500").host == "a.b");
  CHECK(parse_host_port("a.b:29500").port == 29500);
  CHECK(parse_host_port("[::1]:5").host == "::1");
  CHECK(join_host_port("::1", 5) == "[::1]:5");
  CHECK(join_host_port("h", 5) == "h:5");
  for (const char* bad : {"", "host", "host:", "host:x", "host:70000", "host:-1"})
    CHECK_THAT(message_of([&] { parse_host_port(bad); }, Exit::usage), ContainsSubstring("host:port"));
  CHECK(is_loopback("127.0.1.1"));
  CHECK_FALSE(is_loopback("10.0.0.1"));
  CHECK(is_local_host("127.0.0.1"));
  CHECK(is_local_host("localhost"));
  CHECK_FALSE(is_local_host("192.0.2.1"));
  CHECK(StoreServer(":0").address().starts_with(host_name() + ":"));
  // Not ours: then it is a name for us somewhere else, and all interfaces are listened on.
  const StoreServer service("192.0.2.1:0");
  CHECK(service.address().starts_with("192.0.2.1:"));
  Store("127.0.0.1" + service.address().substr(service.address().rfind(':')), 5).set("a", "b");
}
