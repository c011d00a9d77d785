// Errors: one exception type, one exit code, one clear cause.
//
//   check(c == k, "conv2d: input has {} channels, weight expects {}", c, k);      // the caller's mistake
//   fail(Exit::data, "{}: label {} is outside of [0, {})", path, label, classes); // the user's mistake
//
// A message says what is wrong, the value, and what is allowed, and names the file, line, key, sample or
// rank.
#pragma once

#include <fmt/core.h>

#include <stdexcept>
#include <string>
#include <type_traits>

namespace trainer {

/// The program's exit codes (docs/config.md lists them for users).
enum class Exit : int {
  ok = 0,
  internal = 1,       ///< a bug: the message ends with file:line of the check
  usage = 2,          ///< command line or configuration
  data = 3,           ///< data set
  weights = 4,        ///< checkpoint or weights file
  diverged = 5,       ///< the loss is not finite
  distributed = 6,    ///< another process, or the connection to it
  interrupted = 130,  ///< SIGINT
  watchdog = 134,     ///< no progress for too long
  terminated = 143,   ///< SIGTERM
};

/// The only exception that our code throws.
class Error : public std::runtime_error {
 public:
  Error(Exit code, const std::string& message) : std::runtime_error(message), code_(code) {}
  Exit code() const { return code_; }

 private:
  Exit code_;
};

/// A format string, checked at compile time, and the place where it was written. (clang 14 has no
/// std::source_location.)
template <class... A>
struct At {
  template <class S>
  requires std::is_convertible_v<const S&, fmt::string_view>
  // NOLINTNEXTLINE: implicit, so that a string literal converts
  consteval At(const S& s, const char* f = __builtin_FILE(), int l = __builtin_LINE())
      : text(s), file(f), line(l) {
// clang 14 rejects an immediate call inside a consteval constructor.
#if !defined(__clang__) || __clang_major__ >= 15
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

/// Throws Error(Exit::internal) unless `ok`: for preconditions that a correct caller keeps (shapes, dtypes,
/// states).
template <class... A>
void check(bool ok, At<std::type_identity_t<A>...> message, A&&... a) {
  if (!ok) [[unlikely]]
    detail::throw_error(Exit::internal, message.text, fmt::make_format_args(a...), message.file,
                        message.line);
}

/// Throws Error(code) unless `ok`: for what a user can cause.
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
