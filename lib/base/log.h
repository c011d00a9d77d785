// The program's log: spdlog behind two functions, so that no header of ours includes it.
//
//   log::info("resnet18: {} parameters", count);
#pragma once

#include <fmt/core.h>

#include <string>

namespace trainer::log {

enum class Level { debug, info, warn, error };

/// What comes before each line on the terminal is nothing for info, "warning: " and "error: " for the others.
/// Terminal lines go to stderr: stdout belongs to results.
void write(Level, const std::string& line);

/// Adds a file that gets every line with a time stamp (a run directory's log.txt). Throws Error(Exit::usage) if it can't be opened.
void add_file(const std::string& path);
/// Quiet terminal (errors and warnings only); files still get everything.
void set_quiet(bool);
/// Called around each terminal line by whoever draws on the terminal (the progress bar): erase before, redraw after.
struct Overlay {
  virtual ~Overlay() = default;
  virtual void erase() = 0;
  virtual void redraw() = 0;
};
void set_overlay(Overlay*);  ///< nullptr removes it

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
