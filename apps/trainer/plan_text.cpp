// How the tables of a plan are written.
#include "apps/trainer/plan.h"

namespace trainer::app {
namespace {

constexpr int indent = 23;  // of what stands behind a row's name

}  // namespace

std::string megabytes(int64_t bytes) { return fmt::format("{:.1f} MB", static_cast<double>(bytes) / 1e6); }

std::string row(std::string_view name, const std::string& text) {
  std::string line = fmt::format("  {:<{}}", name, indent - 2);
  for (const char c : text) {
    line += c;
    if (c == '\n') line.append(indent, ' ');
  }
  return line + "\n";
}

std::string wrapped_row(std::string_view name, const std::string& text, int columns) {
  const size_t width = static_cast<size_t>(std::max(columns, 40) - indent);
  std::string lines;
  size_t used = 0;
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find(' ', at), text.size());
    if (used > 0) lines += used + 1 + end - at > width ? (used = 0, "\n") : (++used, " ");
    lines.append(text, at, end - at);
    used += end - at;
    at = end + 1;
  }
  return row(name, lines);
}

}  // namespace trainer::app
