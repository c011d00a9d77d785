// Ranks for tests: threads of this process, connected by a LocalHub or by gloo. Catch's assertions are for
// one thread only: what ranks find wrong they say with check() of lib/base/error.h.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "lib/base/store.h"
#include "lib/comm/local.h"
#include "tests/catch.h"

namespace trainer::comm {

/// How a rank has ended.
struct Outcome {
  Exit code = Exit::ok;
  std::string message;
};

/// Runs f(make(rank), rank) on a thread for each rank.
inline std::vector<Outcome> run_ranks(int size, const std::function<std::unique_ptr<Comm>(int rank)>& make,
                                      const std::function<void(Comm&)>& f) {
  std::vector<Outcome> outcomes(static_cast<size_t>(size));
  std::vector<std::thread> threads;
  for (int r = 0; r < size; ++r) {
    threads.emplace_back([&, r] {
      try {
        const auto comm = make(r);
        f(*comm);
      } catch (const Error& error) {
        outcomes[static_cast<size_t>(r)] = {error.code(), error.what()};
      } catch (const std::exception& error) {
        outcomes[static_cast<size_t>(r)] = {Exit::internal, error.what()};
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  return outcomes;
}

inline std::vector<Outcome> run_local(int size, const std::function<void(Comm&)>& f, double timeout = 20) {
  LocalHub hub(size, timeout);
  return run_ranks(
      size, [&](int r) { return hub.join(r); }, f);
}

/// A gloo rank that waits `timeout` seconds.
inline std::unique_ptr<Comm> make_gloo(int rank, int size, const std::string& store, double timeout,
                                       bool rank0_serves = false) {
  World world;
  world.rank = world.local_rank = rank;
  world.size = world.local_size = size;
  world.store = store;
  world.rank0_serves = rank0_serves;
  config::Config config = config::Config::defaults();
  config.set("COMM.TIMEOUT", timeout);
  return make_comm(config::bind<CommConfig>(config.group("COMM")), config.group("COMM"), world);
}

inline std::vector<Outcome> run_gloo(int size, const std::function<void(Comm&)>& f, double timeout = 20) {
  const StoreServer server("127.0.0.1:0");
  return run_ranks(
      size, [&](int r) { return make_gloo(r, size, server.address(), timeout); }, f);
}

/// gloo is built in, and this is no build of the thread sanitizer: that does not see how the library, which
/// is not compiled with it, orders its threads.
inline bool can_test_gloo() {
#ifdef TRAINER_SANITIZED_THREADS
  return false;
#else
  return backends().has("gloo");
#endif
}

/// Both kinds of ranks.
struct Kind {
  std::string name;
  std::function<std::vector<Outcome>(int size, const std::function<void(Comm&)>&, double timeout)> run;
};
inline std::vector<Kind> kinds() {
  std::vector<Kind> all = {{"local", run_local}};
  if (can_test_gloo()) all.push_back({"gloo", run_gloo});
  return all;
}

/// All ranks ended well; shows what they said otherwise.
inline void require_ok(const std::vector<Outcome>& outcomes) {
  for (size_t r = 0; r < outcomes.size(); ++r) {
    INFO("rank " << r << ": " << outcomes[r].message);
    REQUIRE(outcomes[r].code == Exit::ok);
  }
}

}  // namespace trainer::comm
