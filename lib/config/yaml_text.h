// What yaml-cpp's parser does not see, or gets wrong, in the text itself.
#pragma once

#include <string>
#include <string_view>
#include <utility>

namespace trainer::config {

/// Without a byte order mark, each line ending in a line feed: the parser counts from the one, and does not know the
/// carriage return alone for a line's end.
std::string with_line_feeds(std::string_view text);

/// The line and mistake of a directive; the parser takes any line that begins with % for one, wherever it is, and
/// does without the --- that ends them. Line 0 if there is none. Lines end in line feeds.
std::pair<int, std::string_view> directive_error(std::string_view text);

/// The text of a scalar as it was meant: yaml-cpp 0.7 makes single bytes of the escapes \\N and \\_, which are the
/// only ones that can stand where a character of UTF-8 begins.
std::string with_whole_characters(const std::string& text);

}  // namespace trainer::config
