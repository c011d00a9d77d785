#include "lib/config/problems.h"

#include <algorithm>
#include <charconv>
#include <tuple>

#include "lib/base/error.h"
#include "lib/base/text.h"

namespace trainer::config {
namespace {

/// Takes a number off the end of `text`, with the character before it if that is `before`; 0 if there is none.
int take_number(std::string_view& text, char before) {
  const size_t digits = text.find_last_not_of("0123456789") + 1;
  if (digits == 0 || digits == text.size() || text[digits - 1] != before) return 0;
  int number = 0;
  std::from_chars(text.data() + digits, text.data() + text.size(), number);
  text = text.substr(0, digits - 1);
  return number;
}

}  // namespace

void Problems::add(Origin::Layer layer, std::string_view where, std::string_view key, std::string_view what) {
  if (is_full()) {
    ++more_;
    return;
  }
  std::string text;
  if (!where.empty()) text.append(where).append(": ");
  if (!key.empty()) text.append(printable(key)).append(": ");
  text += printable(what, 1000);  // words of the file are in it, too
  // Two components may read one key, and two files may share a base: once is enough.
  if (std::ranges::find(lines_, text, &Line::text) != lines_.end()) return;

  std::string_view source = where;
  const bool of_opts = layer == Origin::Layer::opts;
  const int last = take_number(source, of_opts ? ' ' : ':'), first = of_opts ? 0 : take_number(source, ':');
  const auto known = std::ranges::find(sources_, source);
  const auto index = static_cast<size_t>(known - sources_.begin());
  if (known == sources_.end()) sources_.emplace_back(source);
  lines_.push_back(
      {layer, index, of_opts || first == 0 ? last : first, first == 0 ? 0 : last, std::move(text)});
}

void Problems::raise() const {
  if (lines_.empty()) return;
  std::vector<Line> sorted = lines_;
  std::ranges::stable_sort(sorted, {},
                           [](const Line& l) { return std::tuple(l.layer, l.source, l.line, l.column); });
  std::string message;
  for (const Line& line : sorted) message += (message.empty() ? "" : "\n") + line.text;
  if (more_ > 0) message += fmt::format("\n... and {} more problems", more_);
  throw Error(Exit::usage, message);
}

}  // namespace trainer::config
