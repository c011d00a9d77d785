#include "lib/config/text_file.h"

#include <fmt/core.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <fstream>

namespace trainer::config {
namespace {

/// The length of the UTF-8 sequence that `bytes` begins with; 0 if it is none (overlong, a surrogate, too
/// large, cut off).
size_t utf8_length(std::string_view bytes) {
  const auto byte = [&](size_t i) { return static_cast<uint8_t>(bytes[i]); };
  const uint8_t lead = byte(0);
  if (lead < 0x80) return 1;
  const size_t length = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
  if (lead < 0xC2 || lead > 0xF4 || bytes.size() < length) return 0;
  for (size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return 0;
  }
  const bool overlong = (lead == 0xE0 && byte(1) < 0xA0) || (lead == 0xF0 && byte(1) < 0x90);
  const bool outside = (lead == 0xED && byte(1) >= 0xA0) || (lead == 0xF4 && byte(1) >= 0x90);
  return overlong || outside ? 0 : length;
}

/// The code point of a whole sequence.
uint32_t code_point(std::string_view sequence) {
  const auto lead = static_cast<uint8_t>(sequence[0]);
  uint32_t code = sequence.size() == 1 ? lead : lead & (0x7FU >> sequence.size());
  for (const char c : sequence.substr(1)) code = code << 6 | (static_cast<uint8_t>(c) & 0x3FU);
  return code;
}

}  // namespace

TextError text_error(std::string_view bytes) {
  using namespace std::string_view_literals;
  if (bytes.starts_with("\xFF\xFE"sv) || bytes.starts_with("\xFE\xFF"sv))
    return {.what = "the file is UTF-16; save it as UTF-8"};
  constexpr std::string_view byte_order_mark = "\xEF\xBB\xBF";
  int line = 1;
  size_t line_begin = bytes.starts_with(byte_order_mark) ? byte_order_mark.size() : 0;
  for (size_t i = line_begin; i < bytes.size();) {
    const auto at = [&](std::string what) {
      return TextError{std::move(what), line, static_cast<int>(i - line_begin) + 1};
    };
    const auto c = static_cast<uint8_t>(bytes[i]);
    const size_t length = utf8_length(bytes.substr(i));
    if (length == 0) return at(fmt::format("byte 0x{:02x}: not UTF-8", c));
    const uint32_t code = code_point(bytes.substr(i, length));
    if (i == byte_order_mark.size() && i == line_begin && code == 0xFEFF)
      return at("a second byte order mark");
    if (code == 0x85 || code == 0x2028 || code == 0x2029) {
      return at(
          fmt::format("U+{:04X} ends a line for some readers of YAML and not for others; in double quotes it "
                      "can be written as \\{}",
                      code,
                      code == 0x85     ? 'N'
                      : code == 0x2028 ? 'L'
                                       : 'P'));
    }
    const bool space = c == '\t' || c == '\n' || c == '\r';
    if ((code < 0x20 && !space) || (code >= 0x7F && code < 0xA0) || code == 0xFFFE || code == 0xFFFF)
      return at(fmt::format("the control character 0x{:02x}: not a text in UTF-8", code));
    i += length;
    if (c == '\n') ++line, line_begin = i;
  }
  return {};
}

std::string read_text(const std::filesystem::path& path, size_t most, std::string& text) {
  std::error_code ignored;
  if (std::filesystem::is_directory(path, ignored)) return "is a directory, not a file";
  errno = 0;
  std::ifstream in(path, std::ios::binary);
  const auto reason = [] {
    return std::string("cannot be read: ") + std::strerror(errno != 0 ? errno : EIO);
  };
  if (!in) return reason();
  constexpr size_t step = size_t{1} << 16;
  text.clear();
  while (in && text.size() <= most) {
    const size_t before = text.size();
    text.resize(std::min(before + step, most + 1));
    in.read(text.data() + before, static_cast<std::streamsize>(text.size() - before));
    text.resize(before + static_cast<size_t>(in.gcount()));
  }
  if (in.bad()) return reason();
  return text.size() > most ? fmt::format("is larger than {} KiB", most / 1024) : "";
}

}  // namespace trainer::config
