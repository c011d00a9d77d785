// Reading a text file and checking that it is UTF-8.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

namespace trainer::config {

/// What is wrong with a text, and where, from 1; line 0 is the file as a whole.
struct TextError {
  std::string what = {};  ///< "": nothing
  int line = 0, column = 0;
};

/// Whether these bytes are UTF-8 text without control characters (yaml-cpp guesses encodings and takes byte 4 for the
/// end of the file), and without the characters that end a line in YAML 1.1 and not in 1.2.
TextError text_error(std::string_view bytes);

/// Reads a file or pipe of at most `most` bytes into `text`. Returns what went wrong, or "".
std::string read_text(const std::filesystem::path&, size_t most, std::string& text);

}  // namespace trainer::config
