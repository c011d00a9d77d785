#include "apps/trainer-launch/console.h"

#include <limits.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "lib/base/system.h"

namespace trainer::launch {
namespace {

constexpr std::string_view erase_line = "\r\x1b[2K";

/// Length of an escape sequence that erases (ESC [ ... K or J) at the front of `bytes`, 0 if there is none.
size_t erasing(std::string_view bytes) {
  if (!bytes.starts_with("\x1b[")) return 0;
  const size_t end = bytes.find_first_not_of("0123456789;", 2);
  return end != bytes.npos && (bytes[end] == 'K' || bytes[end] == 'J') ? end + 1 : 0;
}

}  // namespace

Sink::Sink(int fd) : fd_(fd), terminal_(is_terminal(fd)) {}

void Sink::write(std::string_view text) {
  if (gone_) return;
  waiting_ += text;
  flush();
}

void Sink::flush() {
  while (!waiting_.empty()) {
    pollfd ready{fd_, POLLOUT, 0};
    if (::poll(&ready, 1, 0) <= 0) return;
    // A pipe that is writable has room for PIPE_BUF bytes: this does not block although the descriptor, which
    // others may share, is a blocking one.
    const ssize_t n = ::write(fd_, waiting_.data(), std::min<size_t>(waiting_.size(), PIPE_BUF));
    if (n < 0 && (errno == EINTR || errno == EAGAIN)) return;
    if (n < 0) {
      gone_ = true;
      waiting_.clear();
      return;
    }
    waiting_.erase(0, static_cast<size_t>(n));
  }
}

void Console::line(bool error, std::string_view prefix, std::string_view text) {
  Sink& to = sink(error);
  std::string whole;
  const bool disturbed = !open_.empty() && to.terminal();
  if (disturbed) whole = erase_line;
  whole.append(prefix).append(text) += '\n';
  if (disturbed) whole += open_;
  to.write(whole);
}

void Console::draw(bool error, std::string_view prefix, std::string_view bytes) {
  std::string out;
  open_on_err_ = error;
  while (!bytes.empty()) {
    if (open_.empty()) {
      if (const size_t n = erasing(bytes)) {
        out += bytes.substr(0, n);
        bytes.remove_prefix(n);
        continue;
      }
      if (bytes[0] != '\n' && bytes[0] != '\r') {
        out += prefix;
        open_ = prefix;
      }
    }
    const size_t end = bytes.find_first_of("\r\n");
    const std::string_view piece = bytes.substr(0, end == bytes.npos ? bytes.size() : end + 1);
    out += piece;
    if (end != bytes.npos) {
      open_.clear();
    } else if (open_.size() < 4096) {
      open_ += piece;
    }
    bytes.remove_prefix(piece.size());
  }
  sink(error).write(out);
}

void Console::end_drawing() {
  if (open_.empty()) return;
  open_.clear();
  sink(open_on_err_).write("\n");
}

void Console::drain() {
  for (Sink* s : {&out_, &err_}) {
    while (s->pending() > 0) {
      pollfd ready{s->fd(), POLLOUT, 0};
      ::poll(&ready, 1, -1);
      s->flush();
    }
  }
}

}  // namespace trainer::launch
