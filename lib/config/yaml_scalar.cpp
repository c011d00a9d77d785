#include "lib/config/yaml_scalar.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "lib/config/dump.h"
#include "lib/config/literal.h"

namespace trainer::config {
namespace {

using Words = std::array<std::string_view, 9>;

bool is_decimal(char c) { return c >= '0' && c <= '9'; }
bool is_decimal_or_underscore(char c) { return is_decimal(c) || c == '_'; }

template <class Predicate>
size_t count_while(std::string_view text, Predicate is) {
  return static_cast<size_t>(std::find_if_not(text.begin(), text.end(), is) - text.begin());
}

std::string without_underscores(std::string_view text) {
  std::string out(text);
  std::erase(out, '_');
  return out;
}

std::optional<int64_t> integer(std::string_view digits, bool negative, int base) {
  if (digits.find_first_of("+-") != digits.npos)
    return std::nullopt;  // from_chars would take a sign after 0x
  std::string text = without_underscores(digits);
  if (negative) text.insert(text.begin(), '-');
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

/// Numbers of base 60, "1:30" and "1:30.5": each part after the first is below 60.
std::optional<Value> sexagesimal(std::string_view text, bool negative) {
  const bool real = text.find('.') != text.npos;
  if (!is_decimal(text.front()) || (!real && text.front() == '0')) return std::nullopt;
  std::vector<std::string_view> parts;
  for (bool first = true;; first = false) {
    const size_t colon = text.find(':');
    const std::string_view part = text.substr(0, colon);
    const bool last = colon == text.npos;
    const size_t whole = count_while(part, is_decimal_or_underscore);
    const bool fraction =
        last && whole < part.size() && part[whole] == '.' &&
        count_while(part.substr(whole + 1), is_decimal_or_underscore) == part.size() - whole - 1;
    if (part.empty() || (whole != part.size() && !fraction)) return std::nullopt;
    if (!first && (whole == 0 || whole > 2 || count_while(part, is_decimal) != whole)) return std::nullopt;
    if (!first && parse_double(without_underscores(part)) >= 60) return std::nullopt;
    parts.push_back(part);
    if (last) break;
    text.remove_prefix(colon + 1);
  }
  if (real) {
    double total = 0, base = 1;  // from the last part, as PyYAML: the order decides the last bit
    for (auto part = parts.rbegin(); part != parts.rend(); ++part, base *= 60)
      total += parse_double(without_underscores(*part)) * base;
    return Value(negative ? -total : total);
  }
  int64_t total = 0;
  for (const std::string_view part : parts) {
    const auto value = integer(part, negative, 10);
    const bool fits = value && !__builtin_mul_overflow(total, int64_t{60}, &total) &&
                      !__builtin_add_overflow(total, *value, &total);
    if (!fits) return std::nullopt;
  }
  return Value(total);
}

std::optional<Value> number(std::string_view text) {
  const bool negative = text.front() == '-';
  const bool sign = negative || text.front() == '+';
  const std::string_view body = text.substr(sign);
  if (body.empty()) return std::nullopt;
  if (body.find(':') != body.npos) return sexagesimal(body, negative);

  const size_t whole = count_while(body, is_decimal_or_underscore);
  if (whole == body.size() && is_decimal(body.front())) {
    const int base = body.front() == '0' && body.size() > 1 ? 8 : 10;
    const auto value = integer(body, negative, base);
    return value ? std::optional<Value>(*value) : std::nullopt;
  }
  if (body.starts_with("0x") || body.starts_with("0b")) {
    const auto value = integer(body.substr(2), negative, body[1] == 'x' ? 16 : 2);
    return value ? std::optional<Value>(*value) : std::nullopt;
  }

  // [sign] digits "." [digits] [e sign digits], or "." digits without a sign
  if (whole < body.size() && body[whole] == '.' && (whole > 0 ? is_decimal(body.front()) : !sign)) {
    const std::string_view rest = body.substr(whole + 1);
    const size_t fraction = count_while(rest, is_decimal_or_underscore);
    if (whole == 0 && (fraction == 0 || rest.front() == '_')) return std::nullopt;
    std::string_view exponent = rest.substr(fraction);
    if (!exponent.empty()) {
      const bool marked = exponent.size() > 2 && (exponent[0] == 'e' || exponent[0] == 'E') &&
                          (exponent[1] == '+' || exponent[1] == '-');
      if (!marked || count_while(exponent.substr(2), is_decimal) != exponent.size() - 2) return std::nullopt;
    }
    return Value(parse_double(without_underscores(text)));
  }
  return std::nullopt;
}

/// What !!float makes of a text, 010 being 10 here.
std::optional<double> tagged_float(std::string_view text) {
  const Value value = resolve_yaml_scalar(text);
  if (const auto* real = value.get_if<double>()) return *real;
  if (const auto* minutes = value.get_if<int64_t>(); minutes && text.find(':') != text.npos)
    return static_cast<double>(*minutes);
  const std::string plain = without_underscores(text);
  const bool decimal = !plain.empty() && plain.find_first_not_of("0123456789.eE+-") == plain.npos;
  const char* first = plain.c_str() + (plain.starts_with('+') ? 1 : 0);
  double number = 0;
  const auto [end, error] = std::from_chars(first, plain.c_str() + plain.size(), number);
  if (!decimal || error == std::errc::invalid_argument || *end != '\0') return std::nullopt;
  return parse_double(plain);
}

}  // namespace

std::optional<std::string> tagged_yaml_scalar(std::string_view type, std::string_view text) {
  if (type == "null") return "";
  if (type == "float") {
    const auto number = tagged_float(text);
    return number ? std::optional(yaml_float(*number)) : std::nullopt;
  }
  const bool fits = resolve_yaml_scalar(text).kind() == (type == "int" ? Kind::integer : Kind::boolean);
  return fits ? std::optional(std::string(text)) : std::nullopt;
}

Value resolve_yaml_scalar(std::string_view text) {
  static constexpr Words yes = {"yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"};
  static constexpr Words no = {"no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"};
  const auto in = [text](const auto& words) {
    return std::find(words.begin(), words.end(), text) != words.end();
  };
  constexpr double infinity = std::numeric_limits<double>::infinity();

  if (text.empty() || text == "~" || text == "null" || text == "Null" || text == "NULL") return Value();
  if (in(yes)) return Value(true);
  if (in(no)) return Value(false);
  if (text == ".nan" || text == ".NaN" || text == ".NAN")
    return Value(std::numeric_limits<double>::quiet_NaN());
  const std::string_view unsigned_text = text.substr(text[0] == '-' || text[0] == '+');
  if (unsigned_text == ".inf" || unsigned_text == ".Inf" || unsigned_text == ".INF")
    return Value(text[0] == '-' ? -infinity : infinity);
  return number(text).value_or(Value(text));
}

}  // namespace trainer::config
