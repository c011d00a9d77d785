#include "lib/config/literal.h"

#include <fmt/core.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>

namespace trainer::config {
namespace {

constexpr int max_depth = 64;
constexpr size_t max_values = 100'000;

bool is_digit(char c, int base = 10) {
  if (c >= '0' && c <= '9') return c - '0' < base;
  return base == 16 && ((c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'));
}

bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\f'; }
bool is_newline(char c) { return c == '\n' || c == '\r'; }

bool is_word(char c) {
  return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || (c & 0x80) != 0;
}

void append_utf8(std::string& out, uint32_t code) {
  const auto put = [&out](uint32_t byte) { out += static_cast<char>(byte); };
  const auto tail = [&](int shift) { put(0x80 | (code >> shift & 0x3F)); };
  if (code < 0x80) {
    put(code);
  } else if (code < 0x800) {
    put(0xC0 | code >> 6), tail(0);
  } else if (code < 0x10000) {
    put(0xE0 | code >> 12), tail(6), tail(0);
  } else {
    put(0xF0 | code >> 18), tail(12), tail(6), tail(0);
  }
}

/// A recursive descent parser. A method consumes what it returns; nullopt means that the whole text is not a
/// literal.
class Parser {
 public:
  explicit Parser(std::string_view text) : text_(text) {}

  std::optional<Value> whole() {
    at_ = std::min(text_.find_first_not_of(" \t"), text_.size());  // literal_eval takes away so much
    if (!empty_lines()) return std::nullopt;
    auto found = items('\0', 0);
    if (!found || !empty_lines() || at_ != text_.size()) return std::nullopt;
    return std::move(*found).as_tuple();
  }

 private:
  struct Items {
    Value::List values;
    bool comma = false;
    /// `a` is a itself, `a,` and `a, b` are tuples.
    Value as_tuple() && { return comma ? Value(std::move(values)) : std::move(values.front()); }
  };

  char peek(size_t ahead = 0) const { return at_ + ahead < text_.size() ? text_[at_ + ahead] : '\0'; }
  bool take(char c) {
    const bool here = at_ < text_.size() && text_[at_] == c;
    at_ += here;
    return here;
  }
  void blanks() {
    while (is_blank(peek())) ++at_;
  }
  /// A backslash at the end of a line that is not the last.
  bool continues() const { return peek() == '\\' && is_newline(peek(1)) && at_ + 2 < text_.size(); }
  void comment() {
    while (at_ < text_.size() && !is_newline(peek())) ++at_;
  }
  /// What may stand between two tokens: line breaks and comments too, but only inside brackets.
  void space() {
    for (blanks();; blanks()) {
      if (continues()) {
        at_ += 2;
      } else if (brackets_ > 0 && peek() == '#') {
        comment();
      } else if (brackets_ > 0 && is_newline(peek())) {
        ++at_;
      } else {
        return;
      }
    }
  }
  /// Lines without a value, before the first or after the last token. False if an indented line follows.
  bool empty_lines() {
    while (true) {
      size_t indent = 0,
             before_backslash = 0;  // a line that goes on counts from its first backslash, if not 0
      while (is_blank(peek()) || continues()) {
        if (is_blank(peek())) {
          indent = peek() == '\f' ? 0 : indent + 1;
          ++at_;
        } else {
          if (before_backslash == 0) before_backslash = indent;
          at_ += 2;
        }
      }
      if (before_backslash != 0) indent = before_backslash;
      const bool has_comment = peek() == '#';
      if (has_comment) comment();
      if (!is_newline(peek())) return has_comment || indent == 0;
      ++at_;
    }
  }

  /// One or more values with commas between, and perhaps one at the end, up to `close` (not consumed).
  std::optional<Items> items(char close, int depth) {
    Items out;
    const auto at_end = [&] {
      const bool line_ends = brackets_ == 0 && (is_newline(peek()) || peek() == '#');
      return peek() == close || at_ == text_.size() || line_ends;
    };
    for (space(); !(out.comma && at_end()); space()) {
      auto value = atom(depth);
      if (!value || ++values_ > max_values) return std::nullopt;
      out.values.push_back(std::move(*value));
      space();
      if (!take(',')) break;
      out.comma = true;
    }
    return out;
  }

  std::optional<Value> atom(int depth) {
    const char c = peek();
    if (c == '[' || c == '(') return bracketed(depth);
    if (is_digit(c) || c == '.' || c == '+' || c == '-') return number();
    if (is_quote(c) || is_quote(peek(1))) return strings();
    const size_t start = at_;
    while (is_word(peek())) ++at_;
    const std::string_view word = text_.substr(start, at_ - start);
    if (word == "None") return Value();
    if (word == "True") return Value(true);
    if (word == "False") return Value(false);
    return std::nullopt;
  }

  std::optional<Value> bracketed(int depth) {
    if (depth == max_depth) return std::nullopt;
    const bool list = take('[');
    if (!list) ++at_;
    const char close = list ? ']' : ')';
    ++brackets_;
    space();
    const bool empty = peek() == close;
    auto inner = empty ? std::optional(Items{.values = {}, .comma = true}) : items(close, depth + 1);
    --brackets_;
    if (!inner || !take(close)) return std::nullopt;
    return list ? Value(std::move(inner->values)) : std::move(*inner).as_tuple();
  }

  /// Digits with single underscores between them, appended to `out`; false if there are none or an underscore
  /// is misplaced.
  bool digits(std::string& out, int base) {
    if (!is_digit(peek(), base)) return false;
    while (true) {
      while (is_digit(peek(), base)) out += text_[at_++];
      if (peek() != '_') return true;
      ++at_;
      if (!is_digit(peek(), base)) return false;
    }
  }

  /// A sign may be followed by parentheses, but not by another sign.
  std::optional<Value> number() {
    const bool negative = peek() == '-', sign = negative || peek() == '+';
    if (sign) ++at_, space();
    const int outside = brackets_;
    for (; sign && take('('); space()) ++brackets_;
    auto value = unsigned_number(negative);
    for (; value && brackets_ > outside; --brackets_) {
      space();
      if (!take(')')) return std::nullopt;
    }
    return value;
  }

  std::optional<Value> unsigned_number(bool negative) {
    const char mark = static_cast<char>(peek(1) | 0x20);
    const int base = peek() != '0' ? 10 : mark == 'x' ? 16 : mark == 'o' ? 8 : mark == 'b' ? 2 : 10;
    std::string text = negative ? "-" : "";
    if (base != 10) {
      at_ += 2;
      if (peek() == '_') ++at_;
      return digits(text, base) && !is_word(peek()) ? integer(text, base) : std::nullopt;
    }
    const bool whole_part = is_digit(peek());
    if (whole_part ? !digits(text, 10) : peek() != '.') return std::nullopt;
    bool real = false;
    if (peek() == '.') {
      real = true;
      text += text_[at_++];
      if (is_digit(peek()) ? !digits(text, 10) : !whole_part) return std::nullopt;
    }
    if ((peek() | 0x20) == 'e') {
      real = true;
      text += text_[at_++];
      if (peek() == '+' || peek() == '-') text += text_[at_++];
      if (!digits(text, 10)) return std::nullopt;
    }
    if (is_word(peek()) || peek() == '.') return std::nullopt;  // 10px, 1.2.3, 2j
    return real ? std::optional<Value>(parse_double(text)) : integer(text, 10);
  }

  static std::optional<Value> integer(const std::string& text, int base) {
    const size_t first = text.find_first_not_of('-');
    const bool zeros = text.find_first_not_of('0', first) == text.npos;
    if (base == 10 && text[first] == '0' && !zeros) return std::nullopt;  // 010 is a syntax error in Python 3
    int64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
    return error == std::errc() ? std::optional<Value>(value) : std::nullopt;
  }

  static bool is_quote(char c) { return c == '\'' || c == '"'; }

  /// One or more adjacent string literals.
  std::optional<Value> strings() {
    std::string out;
    do {
      const char prefix = is_quote(peek()) ? 'u' : static_cast<char>(text_[at_++] | 0x20);
      if ((prefix != 'u' && prefix != 'r') || !string(out, prefix == 'r')) return std::nullopt;
      space();
    } while (is_quote(peek()) || (peek() != '\0' && is_word(peek()) && is_quote(peek(1))));
    return Value(std::move(out));
  }

  bool string(std::string& out, bool raw) {
    const char quote = peek();
    const bool triple = peek(1) == quote && peek(2) == quote;
    at_ += triple ? 3 : 1;
    while (at_ < text_.size()) {
      const char c = text_[at_++];
      if (c == quote && (!triple || (peek() == quote && peek(1) == quote))) {
        at_ += triple ? 2 : 0;
        return true;
      }
      if (c == '\n' && !triple) return false;
      if (c != '\\') {
        out += c;
      } else if (at_ == text_.size()) {
        return false;
      } else if (raw) {
        out += c;
        out += text_[at_++];
      } else if (!escape(out)) {
        return false;
      }
    }
    return false;
  }

  bool escape(std::string& out) {
    static constexpr std::string_view names = "abfnrtv\\'\"", codes = "\a\b\f\n\r\t\v\\'\"";
    const char c = text_[at_++];
    if (const size_t i = names.find(c); i != names.npos) return out += codes[i], true;
    if (c == '\n') return true;
    if (is_digit(c, 8)) {
      uint32_t code = static_cast<uint32_t>(c - '0');
      for (int i = 0; i < 2 && is_digit(peek(), 8); ++i)
        code = code * 8 + static_cast<uint32_t>(text_[at_++] - '0');
      return append_utf8(out, code), true;
    }
    if (c == 'N') return false;  // a character by its Unicode name, which takes a table of all names
    const size_t length = c == 'x' ? 2 : c == 'u' ? 4 : c == 'U' ? 8 : 0;
    if (length == 0) return (out += '\\') += c, true;  // Python keeps an unknown escape as it stands
    uint32_t code = 0;
    const std::string_view hex = text_.substr(at_, length);
    const auto [end, error] = std::from_chars(hex.data(), hex.data() + hex.size(), code, 16);
    if (error != std::errc() || end != hex.data() + length) return false;
    if (code > 0x10FFFF || (code >= 0xD800 && code < 0xE000)) return false;
    at_ += length;
    return append_utf8(out, code), true;
  }

  std::string_view text_;
  size_t at_ = 0;
  int brackets_ = 0;   // that are open
  size_t values_ = 0;  // so far
};

}  // namespace

std::optional<Value> parse_literal(std::string_view text) { return Parser(text).whole(); }

double parse_double(const std::string& text) {
  double value = 0;
  const char* first = text.c_str() + (text.starts_with('+') ? 1 : 0);
  const auto [end, error] = std::from_chars(first, text.c_str() + text.size(), value);
  // from_chars does not say whether it is too large or too small; strtod does, and neither result depends on
  // the locale.
  return error == std::errc::result_out_of_range ? std::strtod(text.c_str(), nullptr) : value;
}

std::string quote_literal(std::string_view text) {
  std::string out = "'";
  for (const char c : text) {
    if (c == '\n') {
      out += "\\n";
    } else if (c == '\\' || c == '\'') {
      (out += '\\') += c;
    } else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) {
      out += fmt::format("\\x{:02x}", static_cast<unsigned>(c));
    } else {
      out += c;
    }
  }
  return out + "'";
}

}  // namespace trainer::config
