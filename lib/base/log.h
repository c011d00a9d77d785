// The program's log: spdlog behind a few functions, so that no header of ours includes it.
//
//   log::info("resnet18: {} parameters", count);
//
// Lines go to the terminal (stderr: stdout belongs to results) and to any number of files. Every function may
// be called from any thread. Logging never throws and never stops the program: a file that cannot be written
// is reported once.
#pragma once

#include <fmt/core.h>

#include <string>
#include <string_view>
#include <utility>

namespace trainer::log {

/// debug lines are for the files only.
enum class Level { debug, info, warn, error };

/// What comes before a line on the terminal is nothing for info, "warning: " or "error: " for the others,
/// coloured where colours are wanted (lib/base/system.h).
void write(Level, std::string_view line);

/// Adds a file that gets every line with a time stamp (a run directory's log.txt), appending to what it
/// holds. Throws Error(Exit::usage) if it can't be opened. Adding the same path again changes nothing.
void add_file(const std::string& path);
/// Closes a file that add_file() opened; does nothing for others.
void remove_file(const std::string& path);

/// Quiet terminal (errors and warnings only); files still get everything.
void set_quiet(bool);

/// Called around each terminal line by whoever draws on the terminal (the progress bar): erase before, redraw
/// after. Both run under the terminal's lock and must not log.
struct Overlay {
  virtual ~Overlay() = default;
  virtual void erase() = 0;
  virtual void redraw() = 0;
};
/// nullptr removes it; once this has returned the old one is not called any more.
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
