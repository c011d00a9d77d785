// Small text helpers that several parts share.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace trainer {

/// The entries of `known` that are near `word` (edit distance, case and separators ignored, or a shared last part after
/// '.'), best first, at most `most`.
std::vector<std::string> nearest(std::string_view word, std::span<const std::string> known, size_t most = 3);

/// " (did you mean A or B?)" or "" when nothing is near.
std::string did_you_mean(std::string_view word, std::span<const std::string> known);

/// Shell-style pattern: * ? [..].
bool glob_match(std::string_view pattern, std::string_view text);

/// 11,689,512 / 11.7 M / 1.3 GiB
std::string with_commas(int64_t);
std::string human_count(double);
std::string human_bytes(double);
/// 0:42, 12:03, 1:02:03
std::string human_time(double seconds);

}  // namespace trainer
