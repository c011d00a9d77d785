// Fd: a file descriptor that is closed when the object is destroyed, and retry_eintr() for system calls.
//
//   const Fd fd(retry_eintr([&] { return ::open(path, O_RDONLY | O_CLOEXEC); }));
//   if (!fd.valid()) return std::strerror(errno);
#pragma once

#include <unistd.h>

#include <cerrno>
#include <utility>

namespace trainer {

class Fd {
 public:
  Fd() = default;
  explicit Fd(int fd) : fd_(fd) {}
  Fd(Fd&& other) noexcept : fd_(other.release()) {}
  Fd& operator=(Fd&& other) noexcept {
    if (this != &other) reset(other.release());
    return *this;
  }
  ~Fd() { reset(); }

  int get() const { return fd_; }
  bool valid() const { return fd_ >= 0; }
  int release() { return std::exchange(fd_, -1); }
  void reset(int fd = -1) {
    if (fd_ >= 0) ::close(fd_);
    fd_ = fd;
  }

 private:
  int fd_ = -1;
};

/// Calls a system call again as long as a signal interrupts it (EINTR).
template <class F>
auto retry_eintr(F&& call) {
  auto result = call();
  while (result < 0 && errno == EINTR) result = call();
  return result;
}

}  // namespace trainer
