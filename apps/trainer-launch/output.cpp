#include "apps/trainer-launch/output.h"

#include <cxxabi.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <memory>

namespace trainer::launch {
namespace {

constexpr double hold_time = 0.25;  // seconds: ranks that see the same mistake see it at about the same time
constexpr double message_time = 1;  // seconds in which the lines of one message come
constexpr size_t tail_lines = 40, tail_width = 400;

/// Without colours and other escape sequences.
std::string plain(std::string_view line) {
  std::string text;
  for (size_t i = 0; i < line.size(); ++i) {
    if (line[i] == '\x1b' && i + 1 < line.size() && line[i + 1] == '[') {
      for (i += 2; i < line.size() && (line[i] < '@' || line[i] > '~');) ++i;
    } else {
      text += line[i];
    }
  }
  return text;
}

/// Frames of a backtrace (lib/base/crash.h), "file(_ZN7trainer...+0x1f) [0x...]", with names as we write
/// them.
std::string demangled(const std::string& line) {
  const size_t open = line.find("(_Z"), plus = line.find("+0x", open);
  if (open == line.npos || plus == line.npos) return line;
  int status = 0;
  const std::string name = line.substr(open + 1, plus - open - 1);
  const std::unique_ptr<char, decltype(&std::free)> text(
      abi::__cxa_demangle(name.c_str(), nullptr, nullptr, &status), &std::free);
  return text == nullptr ? line : line.substr(0, open + 1) + text.get() + line.substr(plus);
}

void write_whole(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t n = retry_eintr([&] { return ::write(fd, bytes.data(), bytes.size()); });
    if (n <= 0) return;  // a full disk must not end the training
    bytes.remove_prefix(static_cast<size_t>(n));
  }
}

}  // namespace

void Output::add(Stream stream) { streams_.push_back(std::move(stream)); }

void Output::poll_on(std::vector<pollfd>& entries) const {
  // While the console's reader is slow the workers wait, as they would without us.
  if (console_.backed_up()) return;
  for (const Stream& s : streams_) entries.push_back({s.source.get(), POLLIN, 0});
}

void Output::read_from(int fd, double now) {
  for (auto s = streams_.begin(); s != streams_.end(); ++s) {
    if (s->source.get() != fd) continue;
    if (!receive(*s, now)) {
      s->lines.finish([&](const std::string& line) { on_line(*s, line, s->raw && s->shown, now); });
      if (s->terminal) console_.end_drawing();
      s->source.reset();
      ended_.splice(ended_.end(), streams_, s);
    }
    return;
  }
}

void Output::finish(int local_rank, double now) {
  std::vector<int> sources;
  for (const Stream& s : streams_) {
    if (s.local_rank == local_rank) sources.push_back(s.source.get());
  }
  for (const int fd : sources) {
    pollfd ready{fd, POLLIN, 0};
    for (int i = 0; i < 1000 && ::poll(&ready, 1, 0) > 0; ++i) {
      read_from(fd, now);
      if (std::none_of(streams_.begin(), streams_.end(),
                       [&](const Stream& s) { return s.source.get() == fd; }))
        break;
    }
  }
}

/// False at the end of the stream.
bool Output::receive(Stream& s, double now) {
  std::array<char, 1 << 16> buffer;
  const ssize_t n = ::read(s.source.get(), buffer.data(), buffer.size());
  if (n < 0) return errno == EINTR || errno == EAGAIN;  // EIO: a terminal whose other end is closed
  if (n == 0) return false;
  on_bytes(s, {buffer.data(), static_cast<size_t>(n)}, now);
  return true;
}

void Output::on_bytes(Stream& s, std::string_view bytes, double now) {
  if (s.file.valid()) write_whole(s.file.get(), bytes);
  if (!s.raw) {
    s.lines.add(bytes, [&](const std::string& line) { on_line(s, line, false, now); });
    return;
  }
  // A worker alone needs no judgement of its messages.
  if (!s.terminal && s.shown) console_.sink(s.error).write(bytes);
  if (s.terminal && s.shown && s.prefix.empty()) console_.draw(s.error, "", bytes);
  if (s.prefix.empty() || !s.terminal) {
    s.lines.add(bytes, [&](const std::string& line) { on_line(s, line, s.shown, now); });
    return;
  }
  // One of several, with a terminal of its own: everything at once but error messages.
  while (!bytes.empty()) {
    const size_t end = bytes.find('\n');
    std::string_view piece = bytes.substr(0, end == bytes.npos ? bytes.size() : end + 1);
    bytes.remove_prefix(piece.size());
    if (now < s.error_time + message_time || plain(piece).starts_with("error: ")) {
      s.lines.add(piece, [&](const std::string& line) { on_line(s, line, false, now); });
    } else {
      if (s.shown) console_.draw(s.error, s.prefix, piece);
      s.lines.add(piece, [&](const std::string& line) { on_line(s, line, true, now); });
    }
  }
}

void Output::on_line(Stream& s, const std::string& line, bool already_shown, double now) {
  const std::string text = plain(line);
  const bool just_seen = already_shown && s.prefix.empty();  // a lone worker's: its end stands above a report
  if (s.error && !just_seen) {
    s.tail.push_back(text.substr(0, tail_width));
    if (s.tail.size() > tail_lines) s.tail.pop_front();
  }
  if (s.error && text.starts_with("error: ")) s.error_time = now;
  const bool in_error = now < s.error_time + message_time;
  if (already_shown) {
    if (in_error) error_shown_.insert(s.local_rank);
    return;
  }
  if (!s.shown) return;
  if (in_error && !s.prefix.empty()) {
    held_.push_back({now, s.local_rank, s.error, s.prefix, demangled(line)});
  } else {
    console_.line(s.error, s.prefix, line);
  }
}

void Output::show(const Held& held) {
  error_shown_.insert(held.local_rank);
  const auto first = shown_errors_.emplace(plain(held.text), held.local_rank).first;
  if (first->second == held.local_rank) console_.line(held.error, held.prefix, held.text);
}

void Output::release(double now) {
  if (holding_) return;
  for (; !held_.empty() && held_.front().time + hold_time <= now; held_.pop_front()) show(held_.front());
}

double Output::next_release(double now) const {
  return holding_ || held_.empty() ? 1e9 : std::max(0.0, held_.front().time + hold_time - now);
}

void Output::show_held_of(int local_rank) {
  for (const Held& held : held_) {
    if (held.local_rank == local_rank) show(held);
  }
  drop_held();
}

void Output::show_held() {
  for (const Held& held : held_) show(held);
  drop_held();
}

void Output::drop_held() {
  held_.clear();
  holding_ = false;
}

std::vector<std::string> Output::tail(int local_rank) const {
  for (const auto* list : {&streams_, &ended_}) {
    for (const Stream& s : *list) {
      if (s.local_rank == local_rank && s.error) return {s.tail.begin(), s.tail.end()};
    }
  }
  return {};
}

void Output::resize(int columns, int rows) const {
  for (const Stream& s : streams_) {
    if (!s.terminal) continue;
    winsize size{};
    // What comes after the prefix has to fit into the line.
    size.ws_col = static_cast<unsigned short>(std::max(20, columns - static_cast<int>(s.prefix.size())));
    size.ws_row = static_cast<unsigned short>(rows);
    ::ioctl(s.source.get(), TIOCSWINSZ, &size);
  }
}

}  // namespace trainer::launch
