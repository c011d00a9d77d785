#include "lib/config/yaml_text.h"

#include <algorithm>
#include <cctype>
#include <cstdint>

namespace trainer::config {

std::string with_line_feeds(std::string_view text) {
  if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);
  std::string out;
  out.reserve(text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    const bool before_feed = i + 1 < text.size() && text[i + 1] == '\n';
    if (text[i] != '\r') {
      out += text[i];
    } else if (!before_feed) {
      out += '\n';
    }
  }
  return out;
}

std::pair<int, std::string_view> directive_error(std::string_view text) {
  bool before = true, any = false;  // before the document; a directive was seen
  int number = 0;
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(line.size() + 1, text.size()));
    ++number;
    if (line.starts_with('%')) {
      const bool named = line.size() > 1 && (std::isalnum(static_cast<unsigned char>(line[1])) != 0 ||
                                             line[1] == '-' || line[1] == '_');
      if (!before) return {number, "a line that begins with % is a directive, and has to be before ---"};
      if (!named) return {number, "a directive (%) without a name"};
      any = true;
    } else if (const size_t first = line.find_first_not_of(" \t"); first != line.npos && line[first] != '#') {
      if (before && any && !line.starts_with("---"))
        return {number, "--- is missing after the directives (%)"};
      before = false;
    }
  }
  return before && any ? std::pair{number, std::string_view("--- is missing after the directives (%)")}
                       : std::pair{0, std::string_view()};
}

std::string with_whole_characters(const std::string& text) {
  const auto is_one = [](char c) { return c == '\x85' || c == '\xA0'; };
  if (std::none_of(text.begin(), text.end(), is_one)) return text;
  std::string out;
  for (size_t i = 0; i < text.size();) {
    const auto lead = static_cast<uint8_t>(text[i]);
    const size_t length = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : lead >= 0xC0 ? 2 : 1;
    if (length == 1 && is_one(text[i])) out += '\xC2';
    out.append(text, i, length);
    i += length;
  }
  return out;
}

}  // namespace trainer::config
