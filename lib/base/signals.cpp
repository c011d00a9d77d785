#include "lib/base/signals.h"

#include <time.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstdint>
#include <initializer_list>

namespace trainer::signals {
namespace {

// Lock-free, so a handler may touch them.
std::atomic<int> stop_signal{0};
std::atomic<bool> save_requested{false};
std::atomic<int64_t> stop_time{0};  // ns
static_assert(std::atomic<int>::is_always_lock_free && std::atomic<bool>::is_always_lock_free);

// A process group that is signalled as a whole and a launcher that passes signals on deliver one request
// twice.
constexpr int64_t same_request = 50'000'000;  // ns

void on_stop(int signal) {
  timespec t{};
  clock_gettime(CLOCK_MONOTONIC, &t);
  const int64_t now = int64_t{t.tv_sec} * 1'000'000'000 + t.tv_nsec;
  int none = 0;
  if (stop_signal.compare_exchange_strong(none, signal)) {
    stop_time = now;
  } else if (now - stop_time > same_request) {
    _exit(128 + signal);
  }
}

void on_save(int) { save_requested = true; }

void handle(int signal, void (*handler)(int)) {
  struct sigaction action = {};
  action.sa_handler = handler;
  action.sa_flags = SA_RESTART;
  sigemptyset(&action.sa_mask);
  sigaction(signal, &action, nullptr);
}

}  // namespace

void install() {
  for (const int signal : {SIGTERM, SIGINT}) handle(signal, on_stop);
  handle(SIGUSR1, on_save);
  handle(SIGPIPE, SIG_IGN);
}

Requests take() { return {.stop = stop_signal.load(), .save = save_requested.exchange(false)}; }

}  // namespace trainer::signals
