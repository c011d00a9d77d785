#include "lib/base/text.h"

#include <fmt/core.h>

#include <array>
#include <cmath>
#include <limits>

namespace trainer {
namespace {

/// Length of the bracket expression that begins at pattern[0], or 0 if it is never closed.
size_t bracket_length(std::string_view pattern) {
  size_t first = 1;
  if (first < pattern.size() && pattern[first] == '!') ++first;
  const size_t close = pattern.find(']', first + 1);  // a ']' in first place is a member
  return close == pattern.npos ? 0 : close + 1;
}

/// `bracket` is what stands between '[' and ']'.
bool in_bracket(std::string_view bracket, char c) {
  const bool negated = bracket.starts_with('!');
  if (negated) bracket.remove_prefix(1);
  const auto code = static_cast<unsigned char>(c);
  bool found = false;
  while (!bracket.empty()) {
    const bool range = bracket.size() >= 3 && bracket[1] == '-';
    const auto low = static_cast<unsigned char>(bracket[0]);
    const auto high = static_cast<unsigned char>(bracket[range ? 2 : 0]);
    found = found || (low <= code && code <= high);
    bracket.remove_prefix(range ? 3 : 1);
  }
  return found != negated;
}

/// How many pattern characters match the one character c, or 0 if they don't.
size_t match_one(std::string_view pattern, char c) {
  if (pattern.empty() || pattern[0] == '*') return 0;
  if (pattern[0] == '?') return 1;
  if (pattern[0] == '[') {
    if (const size_t n = bracket_length(pattern)) return in_bracket(pattern.substr(1, n - 2), c) ? n : 0;
  }
  return pattern[0] == c ? 1 : 0;
}

/// A number of at most three digits before the unit: 9.9, 99.9, 999.
std::string scaled(double value, double base, std::span<const char* const> units) {
  if (!std::isfinite(value)) return "?";
  size_t unit = 0;
  // 999.5 would be printed as 1000 of this unit.
  while (std::abs(value) >= (base == 1000 ? 999.5 : 1023.5) && unit + 1 < units.size()) {
    value /= base;
    ++unit;
  }
  if (unit == 0) return fmt::format("{:.0f}{}", value, units[0]);
  return fmt::format("{:.{}f}{}", value, std::abs(value) < 99.95 ? 1 : 0, units[unit]);
}

}  // namespace

bool glob_match(std::string_view pattern, std::string_view text) {
  size_t p = 0, t = 0;
  // After a mismatch, the latest '*' takes one character more; earlier stars never need to be tried again.
  size_t star = pattern.npos, star_text = 0;
  while (t < text.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      star_text = t;
    } else if (const size_t n = match_one(pattern.substr(p), text[t])) {
      p += n;
      ++t;
    } else if (star != pattern.npos) {
      p = star + 1;
      t = ++star_text;
    } else {
      return false;
    }
  }
  return pattern.find_first_not_of('*', p) == pattern.npos;
}

bool has_components(std::string_view name, std::string_view pattern) {
  if (pattern.empty()) return false;
  for (size_t at = name.find(pattern); at != std::string_view::npos; at = name.find(pattern, at + 1)) {
    const size_t end = at + pattern.size();
    if ((at == 0 || name[at - 1] == '.') && (end == name.size() || name[end] == '.')) return true;
  }
  return false;
}

std::string printable(std::string_view text, size_t most) {
  const bool cut = text.size() > most;
  if (cut) {
    text = text.substr(0, most);
    // Not in the middle of a UTF-8 sequence: back to before its first byte.
    while (!text.empty() && (static_cast<unsigned char>(text.back()) & 0xC0U) == 0x80U) text.remove_suffix(1);
    if (!text.empty() && (static_cast<unsigned char>(text.back()) & 0x80U) != 0) text.remove_suffix(1);
  }
  std::string shown(text);
  for (size_t i = 0; i < shown.size(); ++i) {
    const auto byte = static_cast<unsigned char>(shown[i]);
    const bool c1 = byte == 0xC2 && i + 1 < shown.size() && static_cast<unsigned char>(shown[i + 1]) < 0xA0;
    if (c1) shown.erase(i + 1, 1);  // U+0080 to U+009F: to some terminals ESC and a letter
    if (c1 || byte < 0x20 || byte == 0x7F) shown[i] = '?';
  }
  return cut ? shown + "..." : shown;
}

std::string with_commas(int64_t value) {
  std::string s = std::to_string(value);
  const size_t digits_begin = value < 0 ? 1 : 0;
  for (size_t i = s.size(); i > digits_begin + 3;) s.insert(i -= 3, 1, ',');
  return s;
}

std::string human_count(double value) {
  static constexpr std::array units{"", " k", " M", " G", " T", " P"};
  return scaled(value, 1000, units);
}

std::string human_bytes(double value) {
  static constexpr std::array units{" B", " KiB", " MiB", " GiB", " TiB", " PiB"};
  return scaled(value, 1024, units);
}

double unsigned_nan(double v) { return std::isnan(v) ? std::numeric_limits<double>::quiet_NaN() : v; }

std::string human_time(double seconds) {
  if (!(seconds >= 0 && seconds < 1e15)) return "?";
  const auto total = static_cast<int64_t>(seconds);
  const int64_t hours = total / 3600, minutes = total / 60 % 60;
  if (hours == 0) return fmt::format("{}:{:02}", minutes, total % 60);
  return fmt::format("{}:{:02}:{:02}", hours, minutes, total % 60);
}

}  // namespace trainer
