#include "lib/base/crash.h"

#include <execinfo.h>
#include <signal.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <cstring>

namespace trainer {
namespace {

constexpr std::array<int, 5> crashes{SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT};
constexpr int most_frames = 24;

// Only async-signal-safe functions from here on (man 7 signal-safety); strlen is one, fmt is not.

void write_text(const char* text) { (void)!::write(STDERR_FILENO, text, std::strlen(text)); }

void write_hex(uintptr_t value) {
  char digits[2 + 2 * sizeof value + 1]{};
  char* at = digits + sizeof digits - 1;
  do {
    *--at = "0123456789abcdef"[value % 16];
    value /= 16;
  } while (value != 0);
  *--at = 'x';
  *--at = '0';
  write_text(at);
}

const char* name_of(int signal) {
  switch (signal) {
    case SIGSEGV:
      return "SIGSEGV (invalid memory access)";
    case SIGBUS:
      return "SIGBUS (a file that was mapped has shrunk, or a disk is full)";
    case SIGFPE:
      return "SIGFPE (integer division by zero)";
    case SIGILL:
      return "SIGILL (an instruction that this processor does not have)";
    default:
      return "SIGABRT";
  }
}

void on_crash(int signal, siginfo_t* info, void*) {
  // One report, even if several threads crash, or this function does.
  static std::atomic_flag reported = ATOMIC_FLAG_INIT;
  if (!reported.test_and_set()) {
    write_text("error: crashed with ");
    write_text(name_of(signal));
    if (signal == SIGSEGV || signal == SIGBUS) {
      write_text(" at address ");
      write_hex(reinterpret_cast<uintptr_t>(info->si_addr));
    }
    write_text("; the innermost functions first:\n");
    void* frames[most_frames];
    const int count = ::backtrace(frames, most_frames);
    // Skip this function and the signal frame.
    constexpr int own = 2;
    if (count > own) ::backtrace_symbols_fd(frames + own, count - own, STDERR_FILENO);
  }
  ::raise(signal);  // SA_RESETHAND has restored the default effect
}

}  // namespace

void install_crash_handler() {
  void* frame = nullptr;
  ::backtrace(&frame, 1);  // loads libgcc now: that allocates
  static std::array<char, 1 << 16> stack;
  stack_t alternate{};
  alternate.ss_sp = stack.data();
  alternate.ss_size = stack.size();
  ::sigaltstack(&alternate, nullptr);
  struct sigaction action {};
  action.sa_sigaction = on_crash;
  action.sa_flags = SA_SIGINFO | SA_ONSTACK | static_cast<int>(SA_RESETHAND);
  ::sigemptyset(&action.sa_mask);
  for (const int signal : crashes) ::sigaction(signal, &action, nullptr);
}

}  // namespace trainer
