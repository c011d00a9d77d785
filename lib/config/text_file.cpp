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

}  // namespace

std::string text_error(std::string_view bytes) {
  using namespace std::string_view_literals;
  if (bytes.starts_with("\xFF\xFE"sv) || bytes.starts_with("\xFE\xFF"sv))
    return "the file is UTF-16; save it as UTF-8";
  size_t line = 1;
  for (size_t i = 0; i < bytes.size();) {
    const auto c = static_cast<uint8_t>(bytes[i]);
    if ((c < 0x20 && c != '\t' && c != '\n' && c != '\r') || c == 0x7F) {
      return fmt::format("line {} has the control character 0x{:02x}: not a text in UTF-8", line, c);
    }
    const size_t length = utf8_length(bytes.substr(i));
    if (length == 0) return fmt::format("line {} is not UTF-8 (byte 0x{:02x})", line, c);
    line += c == '\n';
    i += length;
  }
  return "";
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
  text.resize(most + 1);
  in.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (in.bad()) return reason();
  text.resize(static_cast<size_t>(in.gcount()));
  return text.size() > most ? fmt::format("is larger than {} KiB", most / 1024) : "";
}

}  // namespace trainer::config
