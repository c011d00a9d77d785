// The launcher's stdout and stderr: whole lines of many workers, and one worker that draws on the terminal.
#pragma once

#include <string>
#include <string_view>

namespace trainer::launch {

/// Never blocks: what a slow reader does not take yet is kept. A reader that has gone disturbs nobody.
class Sink {
 public:
  explicit Sink(int fd);
  int fd() const { return fd_; }
  bool terminal() const { return terminal_; }
  void write(std::string_view text);
  /// Writes what goes without blocking.
  void flush();
  /// Bytes that wait for the reader.
  size_t pending() const { return waiting_.size(); }

 private:
  int fd_;
  bool terminal_, gone_ = false;
  std::string waiting_;
};

class Console {
 public:
  Sink& sink(bool error) { return error ? err_ : out_; }

  /// A whole line, without its newline. An unfinished line of draw() is erased before and comes back after
  /// it.
  void line(bool error, std::string_view prefix, std::string_view text);
  /// Bytes of the one worker that has a terminal of its own: shown as they come, with `prefix` at the
  /// beginning of each line.
  void draw(bool error, std::string_view prefix, std::string_view bytes);
  /// Ends an unfinished line.
  void end_drawing();
  /// Waits until the readers have taken everything.
  void drain();
  bool backed_up() const { return out_.pending() + err_.pending() > (1U << 20U); }

 private:
  Sink out_{1}, err_{2};
  std::string open_;  ///< what draw() has put on the last line so far
  bool open_on_err_ = false;
};

}  // namespace trainer::launch
