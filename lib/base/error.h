// Errors: one exception type, one exit code, one clear cause.
//
//   check(c == k, "conv2d: input has {} channels, weight expects {}", c, k);   // a caller's mistake
//   fail(Exit::data, "{}: label {} is outside [0, {})", path, label, classes); // a user's mistake
//
// A message names file, line, key, sample or rank: whatever the reader needs to act.
#pragma once

#include <fmt/core.h>

#include <stdexcept>
#include <string>
#include <type_traits>

namespace trainer {

/// The program's exit codes (docs/config.md lists them for users).
enum class Exit : int {
  ok = 0,
  internal = 1,  ///< a broken promise inside the program; the message carries file:line of the check
  usage = 2,     ///< command line or configuration
  data = 3,
  weights = 4,  ///< checkpoint or weights file
  diverged = 5,
  distributed = 6,
  interrupted = 130,
  watchdog = 134,
  terminated = 143,
};

/// The only exception that our code throws.
class Error : public std::runtime_error {
 public:
  Error(Exit code, const std::string& message) : std::runtime_error(message), code_(code) {}
  Exit code() const { return code_; }

 private:
  Exit code_;
};

/// A format string that remembers where it was written. (clang 14 has no std::source_location.)
template <class... A>
struct At {
  template <class S>
  requires std::is_convertible_v<const S&, fmt::string_view>
  consteval At(const S& s, const char* f = __builtin_FILE(),
               int l = __builtin_LINE())  // NOLINT: implicit by design
      : text(s), file(f), line(l) {
#if !defined(__clang__) || \
    __clang_major__ >= 15  // clang 14 rejects an immediate call inside a consteval constructor
    [[maybe_unused]] fmt::format_string<A...> verified(s);
#endif
  }
  fmt::string_view text;
  const char* file;
  int line;
};

namespace detail {
[[noreturn]] void throw_error(Exit, fmt::string_view, fmt::format_args, const char* file, int line);
}

/// Throws Error(Exit::internal) unless `ok`. For contracts between parts of the program: shapes, dtypes,
/// states.
template <class... A>
void check(bool ok, At<std::type_identity_t<A>...> message, A&&... a) {
  if (!ok) [[unlikely]]
    detail::throw_error(Exit::internal, message.text, fmt::make_format_args(a...), message.file,
                        message.line);
}

/// The same for what a user can cause: the code tells which part of the input is wrong.
template <class... A>
void check(Exit code, bool ok, At<std::type_identity_t<A>...> message, A&&... a) {
  if (!ok) [[unlikely]]
    detail::throw_error(code, message.text, fmt::make_format_args(a...), message.file, message.line);
}

/// Throws Error(code) with a formatted message.
template <class... A>
[[noreturn]] void fail(Exit code, At<std::type_identity_t<A>...> message, A&&... a) {
  detail::throw_error(code, message.text, fmt::make_format_args(a...), message.file, message.line);
}

}  // namespace trainer
