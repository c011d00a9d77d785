// The program's log: spdlog behind a few functions, so that no header of ours includes it.
//
//   log::info("resnet18: {} parameters", count);
//
// Lines go to stderr (stdout is for results) and to any number of files. Every function may be called from
// any thread. Writing a line never throws: a file that cannot be written is reported once on stderr.
#pragma once

#include <fmt/core.h>

#include <string>
#include <string_view>
#include <utility>

namespace trainer::log {

/// debug lines go to files only.
enum class Level { debug, info, warn, error };

/// On stderr a line begins with "warning: " or "error: ", coloured on a terminal (wants_color() of
/// lib/base/system.h), or with nothing for info.
void write(Level, std::string_view line);

/// Adds a file that gets every line with a time stamp (a run directory's log.txt), appending to what it
/// holds. Throws Error(Exit::usage) if it can't be opened. Adding the same path again changes nothing.
void add_file(const std::string& path);
/// Closes a file that add_file() opened; does nothing for others.
void remove_file(const std::string& path);

/// Only warnings and errors on stderr; files still get everything.
void set_quiet(bool);

/// Something drawn on the terminal (the progress bar): erase() is called before each line and redraw() after
/// it. Both run under the terminal's lock and must not log.
struct Overlay {
  virtual ~Overlay() = default;
  virtual void erase() = 0;
  virtual void redraw() = 0;
};
/// Replaces the overlay; nullptr: none. Once this has returned the old one is not called any more.
void set_overlay(Overlay*);

template <class... A>
void debug(fmt::format_string<A...> f, A&&... a) {
  write(Level::debug, fmt::format(f, std::forward<A>(a)...));
}
template <class... A>
void info(fmt::format_string<A...> f, A&&... a) {
  write(Level::info, fmt::format(f, std::forward<A>(a)...));
}
template <class... A>
void warn(fmt::format_string<A...> f, A&&... a) {
  write(Level::warn, fmt::format(f, std::forward<A>(a)...));
}
template <class... A>
void error(fmt::format_string<A...> f, A&&... a) {
  write(Level::error, fmt::format(f, std::forward<A>(a)...));
}

}  // namespace trainer::log
