// nearest() and did_you_mean() of text.h.
#include <algorithm>
#include <optional>
#include <tuple>

#include "lib/base/text.h"

namespace trainer {
namespace {

/// Lower case without separators: what people mistype first is `-`, `_`, `.` and case.
std::string folded(std::string_view word) {
  std::string out;
  for (const char c : word) {
    if (c == '_' || c == '-' || c == '.' || c == ' ' || c == '/') continue;
    out += c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  }
  return out;
}

std::string_view last_part(std::string_view word) {
  const auto dot = word.rfind('.');
  return dot == word.npos ? word : word.substr(dot + 1);
}

/// Optimal string alignment distance (insert, delete, replace, swap of neighbours), or nothing above `limit`.
std::optional<size_t> distance(std::string_view a, std::string_view b, size_t limit) {
  if (std::max(a.size(), b.size()) - std::min(a.size(), b.size()) > limit) return std::nullopt;
  std::vector<size_t> before(b.size() + 1), above(b.size() + 1), row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) above[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      row[j] = std::min({above[j] + 1, row[j - 1] + 1, above[j - 1] + (a[i - 1] != b[j - 1])});
      const bool swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
      if (swapped) row[j] = std::min(row[j], before[j - 2] + 1);
    }
    if (*std::min_element(row.begin(), row.end()) > limit) return std::nullopt;
    std::swap(before, above);
    std::swap(above, row);
  }
  return above[b.size()] <= limit ? std::optional(above[b.size()]) : std::nullopt;
}

/// How many edits still look like a slip in a word of this length.
size_t tolerance(std::string_view a, std::string_view b) {
  return std::max<size_t>(1, std::max(a.size(), b.size()) / 4);
}

}  // namespace

std::vector<std::string> nearest(std::string_view word, std::span<const std::string> known, size_t most) {
  constexpr size_t other_place = 1;  // the right last part under another group costs as much as one slip
  const std::string whole = folded(word), last = folded(last_part(word));
  constexpr size_t longest_word = 256;  // each of them would be compared with each word
  if (whole.empty() || whole.size() > longest_word) return {};

  std::vector<std::tuple<size_t, size_t, std::string>> found;  // cost, distance of the whole, entry
  for (const std::string& entry : known) {
    const std::string entry_whole = folded(entry), entry_last = folded(last_part(entry));
    std::optional<size_t> cost = distance(whole, entry_whole, tolerance(whole, entry_whole));
    const auto last_cost =
        last.empty() ? std::nullopt : distance(last, entry_last, tolerance(last, entry_last));
    if (last_cost) cost = std::min(cost.value_or(SIZE_MAX), *last_cost + other_place);
    if (!cost || *cost >= std::max(whole.size(), entry_whole.size()))
      continue;  // nothing of the word is left
    const size_t longest = std::max(whole.size(), entry_whole.size());
    found.emplace_back(*cost, distance(whole, entry_whole, longest).value_or(longest), entry);
  }
  std::sort(found.begin(), found.end());
  std::vector<std::string> names;
  for (const auto& [cost, whole_distance, entry] : found) {
    const size_t best = std::get<0>(found.front());
    if (names.size() == most || cost > (best == 0 ? 0 : best + 1)) break;
    names.push_back(entry);
  }
  return names;
}

std::string did_you_mean(std::string_view word, std::span<const std::string> known) {
  const std::vector<std::string> names = nearest(word, known);
  std::string text;
  for (size_t i = 0; i < names.size(); ++i) {
    text += i == 0 ? " (did you mean " : i + 1 == names.size() ? " or " : ", ";
    text += names[i];
  }
  return names.empty() ? text : text + "?)";
}

}  // namespace trainer
