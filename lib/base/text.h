// Text helpers: near names for messages, glob patterns, numbers for people.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace trainer {

/// The entries of `known` near `word`, best first, at most `most`: by edit distance without regard to case
/// and separators, of the whole or of the last part after '.'.
std::vector<std::string> nearest(std::string_view word, std::span<const std::string> known, size_t most = 3);

/// " (did you mean A or B?)", or "" if nothing is near: to append to a message.
std::string did_you_mean(std::string_view word, std::span<const std::string> known);

/// Shell-style pattern over the whole text, byte by byte: * ? [abc] [a-z] [!a-z]; a '[' that is never closed
/// stands for itself.
bool glob_match(std::string_view pattern, std::string_view text);

/// `pattern` is a run of whole dotted components of `name`: "b.c" is one of "a.b.c.d", "c" is none of "a.bc".
bool has_components(std::string_view name, std::string_view pattern);

/// Untrusted text for a message: control characters become '?', and more than `most` bytes are cut, with
/// "...", at the end of a UTF-8 character.
std::string printable(std::string_view text, size_t most = 160);

/// 11,689,512
std::string with_commas(int64_t);
/// Powers of 1000: 512, 11.7 k, 138 M, 4.1 G, 2.0 T
std::string human_count(double);
/// Powers of 1024: 512 B, 1.3 GiB
std::string human_bytes(double);
/// `v`, but a NaN without its sign, which says nothing: a text of it is "nan", never "-nan".
double unsigned_nan(double v);
/// 0:42, 12:03, 1:02:03; "?" if negative or not finite
std::string human_time(double seconds);

}  // namespace trainer
