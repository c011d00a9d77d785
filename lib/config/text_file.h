// Reading a text file and checking that it is UTF-8.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

namespace trainer::config {

/// "" if these bytes are UTF-8 text without control characters; else what is wrong, with the line. (yaml-cpp
/// guesses encodings and takes byte 4 for the end of the file.)
std::string text_error(std::string_view bytes);

/// Reads a file or pipe of at most `most` bytes into `text`. Returns what went wrong, or "".
std::string read_text(const std::filesystem::path&, size_t most, std::string& text);

}  // namespace trainer::config
