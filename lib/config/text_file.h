// What has to hold before a text is worth parsing.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

namespace trainer::config {

/// Why these bytes are no UTF-8 text without control characters, with the line; "" if they are. (yaml-cpp
/// guesses encodings and takes byte 4 for the end of the file.)
std::string why_not_text(std::string_view bytes);

/// Reads a file (or a pipe) of at most `most` bytes into `text`; returns what went wrong, or "".
std::string read_text(const std::filesystem::path&, size_t most, std::string& text);

}  // namespace trainer::config
