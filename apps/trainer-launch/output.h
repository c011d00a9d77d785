// What the workers write: to files, to the console with their ranks, and the last lines kept for a report.
#pragma once

#include <poll.h>

#include <deque>
#include <list>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "apps/trainer-launch/console.h"
#include "lib/base/fd.h"

namespace trainer::launch {

/// Cuts a stream into lines. A carriage return ends one, too: a progress bar in a file is many lines.
class LineCutter {
 public:
  /// Calls `f(line)` for each complete one.
  template <class F>
  void add(std::string_view bytes, F&& f) {
    for (const char c : bytes) {
      const bool end = c == '\n' || c == '\r' || line_.size() >= longest;
      if (!end) {
        line_ += c;
        continue;
      }
      if (c != '\n' && c != '\r') {
        f(line_);
        line_ = c;
      } else {
        if (!(c == '\n' && after_return_) && !(c == '\r' && line_.empty())) f(line_);
        line_.clear();
      }
      after_return_ = c == '\r';
    }
    if (!bytes.empty()) after_return_ = bytes.back() == '\r';
  }
  template <class F>
  void finish(F&& f) {
    if (!line_.empty()) f(line_);
    line_.clear();
  }

 private:
  static constexpr size_t longest = 1 << 16;
  std::string line_;
  bool after_return_ = false;
};

/// One stream of one worker.
struct Stream {
  Fd source;  ///< our end of its pipe or terminal
  int local_rank = 0;
  bool error = false;  ///< stderr, or both streams of a worker with a terminal
  bool shown = true;   ///< on the console
  bool raw = false;    ///< bytes as they come
  bool terminal = false;
  std::string prefix;
  Fd file;

  LineCutter lines;
  double error_time = -1e9;      ///< when an "error: " line came; those right after it belong to it
  std::deque<std::string> tail;  ///< its last lines, without colours
};

class Output {
 public:
  explicit Output(Console& console) : console_(console) {}

  /// Streams live until their end.
  void add(Stream);
  /// Appends what is to be polled.
  void poll_on(std::vector<pollfd>&) const;
  /// Reads what has come. `now`: seconds.
  void read_from(int fd, double now);
  /// Reads what is left of a worker that has ended, without waiting for others that may hold its pipes.
  void finish(int local_rank, double now);
  bool idle() const { return streams_.empty(); }

  /// Error messages ("error: ...") are held for a moment, because what several ranks say alike is shown once,
  /// and because after a failure only those of the rank that failed first are. Shows those whose time has
  /// come.
  void release(double now);
  /// Seconds until release() has something to do; large if nothing is held.
  double next_release(double now) const;
  /// From now on nothing is released: a worker has failed.
  void hold() { holding_ = true; }
  /// Ends hold(): shows the held messages of this worker, or of all, and drops the rest.
  void show_held_of(int local_rank);
  void show_held();
  void drop_held();

  /// The last lines of a worker's stderr.
  std::vector<std::string> tail(int local_rank) const;
  /// The error message of a worker was shown on the console.
  bool error_shown(int local_rank) const { return error_shown_.contains(local_rank); }
  void resize(int columns, int rows) const;

 private:
  struct Held {
    double time;
    int local_rank;
    bool error;
    std::string prefix, text;
  };
  bool receive(Stream&, double now);
  void on_bytes(Stream&, std::string_view bytes, double now);
  void on_line(Stream&, const std::string& line, bool already_shown, double now);
  void show(const Held&);

  Console& console_;
  std::list<Stream> streams_, ended_;
  std::deque<Held> held_;
  std::map<std::string, int> shown_errors_;  ///< and the local rank that said it first
  std::set<int> error_shown_;
  bool holding_ = false;
};

}  // namespace trainer::launch
