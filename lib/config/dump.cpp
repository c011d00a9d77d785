#include "lib/config/dump.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>

#include "lib/config/literal.h"
#include "lib/config/raw_value.h"
#include "lib/config/yaml_scalar.h"

namespace trainer::config {
namespace {

/// Characters beyond ASCII that no file may have as they are (text_file.h), as YAML's escapes: U+0080 to U+009F,
/// U+2028, U+2029, U+FFFE, U+FFFF. The length of the one that `text` begins with is 0 if it is another.
struct Escape {
  size_t length = 0;
  std::string text = {};
};
Escape escape(std::string_view text) {
  const auto byte = [&](size_t i) { return i < text.size() ? static_cast<uint8_t>(text[i]) : 0; };
  if (byte(0) == 0xC2 && byte(1) < 0xA0) return {2, fmt::format("\\x{:02x}", byte(1))};
  if (byte(0) == 0xE2 && byte(1) == 0x80 && (byte(2) & 0xFE) == 0xA8)
    return {3, fmt::format("\\u{:04x}", 0x2000 + (byte(2) & 0x3F))};
  if (byte(0) == 0xEF && byte(1) == 0xBF && byte(2) >= 0xBE)
    return {3, fmt::format("\\u{:04x}", 0xFFC0 + (byte(2) & 0x3F))};
  return {};
}

/// In YAML's double quotes; control characters are escaped, so a value stays on one line.
std::string double_quoted(const std::string& text) {
  std::string out = "\"";
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (const Escape special = escape(std::string_view(text).substr(i)); special.length > 0) {
      out += special.text;
      i += special.length - 1;
    } else if (c == '"' || c == '\\') {
      (out += '\\') += c;
    } else if (c == '\n') {
      out += "\\n";
    } else if (c == '\t') {
      out += "\\t";
    } else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) {
      out += fmt::format("\\x{:02x}", static_cast<unsigned>(c));
    } else {
      out += c;
    }
  }
  return out + "\"";
}

bool is_plain(const std::string& text) {
  const auto is_letter = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '/';
  };
  const auto is_safe = [&](char c) {
    return is_letter(c) || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '+';
  };
  if (text.empty() || !(is_letter(text.front()) || text.starts_with("./") || text.starts_with("../")))
    return false;
  if (!std::all_of(text.begin(), text.end(), is_safe)) return false;
  static constexpr std::string_view words_of_1_1[] = {"y", "Y", "n", "N"};  // booleans to some readers
  if (std::find(std::begin(words_of_1_1), std::end(words_of_1_1), text) != std::end(words_of_1_1))
    return false;
  return resolve_yaml_scalar(text).kind() == Kind::string && !parse_literal(text);
}

/// `reader` is the kind that the value's key has; Kind::list inside a list.
std::string yaml_value(const Value& value, Kind reader) {
  if (value.is_none()) return "null";
  if (const auto* v = value.get_if<bool>()) return *v ? "true" : "false";
  if (const auto* v = value.get_if<int64_t>()) return fmt::format("{}", *v);
  if (const auto* v = value.get_if<double>()) return yaml_float(*v);
  if (const auto* v = value.get_if<std::string>()) {
    // Outside a list a string is read as a Python literal, unless that is no str (nor None) and the key is a
    // str key. What would be misread is written as the literal that yields it.
    const auto read = reader == Kind::list ? std::nullopt : parse_literal(*v);
    const bool misread = read && (read->is_none() || read->kind() == Kind::string || reader != Kind::string);
    return misread ? double_quoted(quote_literal(*v)) : yaml_string(*v);
  }
  std::string text = "[";
  for (const Value& item : std::get<Value::List>(value.data))
    text += (text.size() > 1 ? ", " : "") + yaml_value(item, Kind::list);
  return text + "]";
}

void dump(const Node& group, int depth, std::string& out) {
  for (const Node& child : group.children()) {
    const std::string key = fmt::format("{:{}}{}:", "", depth * 2, yaml_string(std::string(child.name())));
    if (child.is_leaf()) {
      out += fmt::format("{} {}\n", key, yaml_value(child.value(), child.declaration().type.kind));
    } else if (child.children().empty()) {
      out += key + " {}\n";
    } else {
      out += key + "\n";
      dump(child, depth + 1, out);
    }
  }
}

}  // namespace

std::string dump_yaml(const Node& root) {
  std::string out;
  dump(root, 0, out);
  return out;
}

std::string yaml_float(double v) {
  if (std::isnan(v)) return ".nan";
  if (std::isinf(v)) return v > 0 ? ".inf" : "-.inf";
  std::string text = fmt::format("{}", v);  // the shortest text that reads back to v
  const size_t exponent = std::min(text.find('e'), text.size());
  if (text.find('.') == text.npos) text.insert(exponent, ".0");
  return text;
}

std::string yaml_string(const std::string& text) {
  if (is_plain(text)) return text;
  bool printable = true;
  for (size_t i = 0; i < text.size(); ++i) {
    const bool control = static_cast<unsigned char>(text[i]) < 0x20 || text[i] == 0x7F;
    printable = printable && !control && escape(std::string_view(text).substr(i)).length == 0;
  }
  if (!printable) return double_quoted(text);
  std::string out = "'";
  for (const char c : text) out += c == '\'' ? "''" : std::string(1, c);
  return out + "'";
}

}  // namespace trainer::config
