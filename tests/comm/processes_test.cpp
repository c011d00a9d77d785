// Ranks that are processes: killed, stopped, too many, of another world.
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <fstream>

#include "lib/base/board.h"
#include "lib/base/socket.h"
#include "lib/base/system.h"
#include "tests/comm/ranks.h"
#include "tests/temp_folder.h"

using namespace trainer;
using namespace trainer::comm;

namespace {

/// A rank in a process of its own.
class Process {
 public:
  explicit Process(const std::function<void()>& f) {
    std::array<int, 2> ends{};
    REQUIRE(::pipe(ends.data()) == 0);
    pid_ = ::fork();
    if (pid_ == 0) {
      ::signal(SIGPIPE, SIG_IGN);
      ::alarm(60);  // whatever happens, nothing is left behind
      Outcome outcome;
      try {
        f();
      } catch (const Error& error) {
        outcome = {error.code(), error.what()};
      } catch (const std::exception& error) {
        outcome = {Exit::internal, error.what()};
      }
      (void)!::write(ends[1], outcome.message.data(), outcome.message.size());
      ::_exit(static_cast<int>(outcome.code));
    }
    ::close(ends[1]);
    output_ = Fd(ends[0]);
  }
  ~Process() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  Process(Process&& other) noexcept : pid_(std::exchange(other.pid_, 0)), output_(std::move(other.output_)) {}

  pid_t pid() const { return pid_; }

  /// Waits for its end; a signal counts as 1000 + its number.
  Outcome join() {
    Outcome outcome;
    std::array<char, 4096> text{};
    for (ssize_t n = 0; (n = ::read(output_.get(), text.data(), text.size())) > 0;) {
      outcome.message.append(text.data(), static_cast<size_t>(n));
    }
    int status = 0;
    ::waitpid(std::exchange(pid_, 0), &status, 0);
    outcome.code = static_cast<Exit>(WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status));
    return outcome;
  }

 private:
  pid_t pid_ = 0;
  Fd output_;
};

/// An address that nobody else uses.
std::string new_address() {
  static int count = 0;
  return fmt::format("unix:@trainer-comm-test-{}-{}", ::getpid(), ++count);
}

void sum(Comm& comm, int64_t n) {
  Tensor t = Tensor::zeros({n});
  comm.all_reduce(t, "gradients[0]");
}

void check_outcome(const Outcome& outcome, Exit code, const std::string& message) {
  INFO(outcome.message);
  CHECK(outcome.code == code);
  CHECK_THAT(outcome.message, ContainsSubstring(message));
}

bool has_gloo() {
  if (!can_test_gloo()) WARN("skipped: gloo is not built in, or not with this sanitizer");
  return can_test_gloo();
}

}  // namespace

TEST_CASE("gloo: processes whose rank 0 serves the store, twice the same bits") {
  if (!has_gloo()) return;
  const TempFolder folder;
  const auto run = [&](const std::string& name) {
    const std::string address = new_address();
    std::vector<Process> ranks;
    for (int r = 0; r < 4; ++r) {
      ranks.emplace_back([&, r] {
        const auto comm = make_gloo(r, 4, address, 20, true);
        Tensor t = Tensor::empty({100003});
        for (int64_t i = 0; i < t.numel(); ++i)
          t.data<float>()[i] = 1.0f / static_cast<float>(i + r * 77 + 1);
        comm->all_reduce(t, "t");
        const auto all =
            comm->all_gather(std::string_view(reinterpret_cast<const char*>(t.raw()), t.bytes()), "results");
        for (const std::string& other : all) check(other == all[0], "ranks have other bits");
        if (r == 3) std::ofstream(folder / name) << all[0];
      });
    }
    for (Process& rank : ranks) check_outcome(rank.join(), Exit::ok, "");
    std::ifstream file(folder / name);
    return std::string(std::istreambuf_iterator<char>(file), {});
  };
  const std::string first = run("first");
  CHECK(first.size() == 400012);
  CHECK((first == run("second")));
}

TEST_CASE("gloo: a killed rank ends the others within a second, by name") {
  if (!has_gloo()) return;
  for (const int64_t n : {10, 3'000'000}) {
    const std::string address = new_address();
    std::vector<Process> ranks;
    std::array<int, 2> started{};
    REQUIRE(::pipe(started.data()) == 0);
    for (int r = 0; r < 3; ++r) {
      ranks.emplace_back([&, r] {
        const auto comm = make_gloo(r, 3, address, 30, true);
        sum(*comm, n);
        if (r == 1) (void)!::write(started[1], "x", 1);
        while (true) sum(*comm, n);
      });
    }
    char x = 0;
    REQUIRE(::read(started[0], &x, 1) == 1);
    ::usleep(100'000);
    const std::string killed =
        fmt::format("rank 1 (pid {}) is gone: connection lost in all_reduce gradients[0]", ranks[1].pid());
    ::kill(ranks[1].pid(), SIGKILL);
    CHECK(static_cast<int>(ranks[1].join().code) == 1000 + SIGKILL);
    const double begin = now();
    check_outcome(ranks[0].join(), Exit::distributed, killed);
    check_outcome(ranks[2].join(), Exit::distributed, killed);
    CHECK(now() - begin < 5);
    ::close(started[0]);
    ::close(started[1]);
  }
}

TEST_CASE("gloo: a stopped rank is named with what it did when the time is over") {
  if (!has_gloo()) return;
  const TempFolder folder;
  for (const int stopped : {2, 0}) {
    const bool rank0_serves = stopped == 0;  // the store stops as well
    const std::string path = folder / fmt::format("board-{}", stopped), here = new_address();
    board::create(path, 3, 0);
    std::vector<Process> ranks;
    for (int r = 0; r < 3; ++r) {
      ranks.emplace_back([&, r] {
        board::open(path, r);
        const auto comm = make_gloo(r, 3, here, 2, rank0_serves);
        sum(*comm, 10);
        board::enter(board::Phase::data, 12);
        if (r == stopped) ::raise(SIGSTOP);
        sum(*comm, 10);
      });
    }
    std::unique_ptr<StoreServer> server;
    if (!rank0_serves) server = std::make_unique<StoreServer>(here);
    for (int r = 0; r < 3; ++r) {
      if (r == stopped) continue;
      const Outcome outcome = ranks[static_cast<size_t>(r)].join();
      const std::string expected = fmt::format(
          "all_reduce gradients[0] f32 [10] (#2) has waited 2 s for rank {} (pid {}), which is "
          "stopped [rank {} is at step 12 in data",
          stopped, ranks[static_cast<size_t>(stopped)].pid(), stopped);
      check_outcome(outcome, Exit::watchdog, expected);
      CHECK_THAT(outcome.message, ContainsSubstring("its last collective was #1 all_reduce"));
    }
  }
}

TEST_CASE("gloo: two processes that are the same rank") {
  if (!has_gloo()) return;
  const std::string address = new_address();
  const StoreServer server(address);
  std::vector<Process> ranks;
  for (const int r : {1, 1}) {
    ranks.emplace_back([&, r] { make_gloo(r, 3, address, 20); });
  }
  for (Process& rank : ranks) {
    check_outcome(rank.join(), Exit::distributed, "rank 1 is there twice: pid ");
  }
}

TEST_CASE("gloo: ranks of worlds of different sizes at one store") {
  if (!has_gloo()) return;
  const std::string address = new_address();
  const StoreServer server(address);
  std::vector<Process> ranks;
  ranks.emplace_back([&] { make_gloo(0, 2, address, 20); });
  ranks.emplace_back([&] { make_gloo(1, 3, address, 20); });
  for (Process& rank : ranks) {
    const Outcome outcome = rank.join();
    check_outcome(outcome, Exit::distributed, "rank 0 (pid ");
    check_outcome(outcome, Exit::distributed, "rank 1 (pid ");
    check_outcome(outcome, Exit::distributed, "in a world of ");
  }
}

TEST_CASE("gloo: ranks that do not come are named") {
  if (!has_gloo()) return;
  const std::string address = new_address();
  const StoreServer server(address);
  Process rank([&] { make_gloo(1, 4, address, 1); });
  check_outcome(rank.join(), Exit::distributed, "ranks 0, 2, 3 of 4 have not come to the store within 1 s");
}

TEST_CASE("gloo: garbage sent to the store disturbs nobody") {
  if (!has_gloo()) return;
  const StoreServer server("127.0.0.1:0");
  std::vector<Process> ranks;
  ranks.emplace_back([&] {
    const auto comm = make_gloo(0, 2, server.address(), 20);
    sum(*comm, 1000);
  });
  for (const std::string& garbage : {std::string("GET / HTTP/1.1\r\n\r\n"), std::string(10000, '\xff')}) {
    std::string reason;
    const Fd fd = connect_to(server.address(), now() + 5, reason);
    REQUIRE(fd.valid());
    send_all(fd.get(), garbage.data(), garbage.size(), now() + 5);
  }
  ranks.emplace_back([&] {
    const auto comm = make_gloo(1, 2, server.address(), 20);
    sum(*comm, 1000);
  });
  for (Process& rank : ranks) check_outcome(rank.join(), Exit::ok, "");
}
