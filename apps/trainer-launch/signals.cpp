#include "apps/trainer-launch/signals.h"

#include <sys/signalfd.h>

namespace trainer::launch {

Signals::Signals(const std::vector<int>& ending) {
  ::sigemptyset(&ending_);
  for (const int signal : ending) {
    struct sigaction action {};
    ::sigaction(signal, nullptr, &action);
    if (signal == SIGHUP && action.sa_handler == SIG_IGN) continue;
    // A shell's background job ignores SIGINT; an ignored signal would never be read.
    action.sa_handler = SIG_DFL;
    ::sigaction(signal, &action, nullptr);
    ::sigaddset(&ending_, signal);
  }
  sigset_t all = ending_;
  for (const int signal : {SIGCHLD, SIGWINCH, SIGUSR1}) ::sigaddset(&all, signal);
  ::sigprocmask(SIG_BLOCK, &all, &before_);
  fd_.reset(::signalfd(-1, &all, SFD_CLOEXEC | SFD_NONBLOCK));
}

Signals::~Signals() { ::sigprocmask(SIG_SETMASK, &before_, nullptr); }

std::optional<int> Signals::next() {
  signalfd_siginfo info{};
  if (retry_eintr([&] { return ::read(fd_.get(), &info, sizeof info); }) != sizeof info) return std::nullopt;
  return static_cast<int>(info.ssi_signo);
}

}  // namespace trainer::launch
