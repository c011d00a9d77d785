#include "lib/config/raw_value.h"

#include <fmt/core.h>

#include <algorithm>
#include <limits>

#include "lib/base/text.h"
#include "lib/config/literal.h"
#include "lib/config/yaml_scalar.h"

namespace trainer::config {
namespace {

/// The words that other YAML readers take for infinity and NaN, with or without the dot.
std::optional<double> nonfinite_word(std::string_view text) {
  const bool negative = text.starts_with('-');
  if (negative || text.starts_with('+')) text.remove_prefix(1);
  if (text.starts_with('.')) text.remove_prefix(1);
  if (text == "inf" || text == "Inf" || text == "INF") {
    return negative ? -std::numeric_limits<double>::infinity() : std::numeric_limits<double>::infinity();
  }
  if (text == "nan" || text == "NaN" || text == "NAN") return std::numeric_limits<double>::quiet_NaN();
  return std::nullopt;
}

std::string_view trimmed(std::string_view text) {
  const size_t first = text.find_first_not_of(" \t\r\n"), last = text.find_last_not_of(" \t\r\n");
  return first == text.npos ? std::string_view() : text.substr(first, last - first + 1);
}

/// `[a, b]` on the command line, or the text of a tuple such as `1,2`, for a list of str; Python would want
/// quotes.
std::optional<Value> word_list(std::string_view text) {
  text = trimmed(text);
  const bool list = text.starts_with('[') && text.ends_with(']'),
             tuple = text.starts_with('(') && text.ends_with(')');
  if (list || tuple) text = text.substr(1, text.size() - 2);
  if (text.find_first_of("[](){}'\"") != text.npos) return std::nullopt;
  Value::List words;
  while (true) {
    const size_t comma = text.find(',');
    const std::string_view word = trimmed(text.substr(0, comma));
    const bool last = comma == text.npos;
    if (word.empty() && !(last && !words.empty())) return std::nullopt;
    if (!word.empty()) words.push_back(word == "None" ? Value() : Value(word));
    if (last) return Value(std::move(words));
    text.remove_prefix(comma + 1);
  }
}

/// A number that parse_literal would have read if it had 64 bits.
bool is_large_integer(std::string_view text) {
  text = trimmed(text);
  if (text.starts_with('-') || text.starts_with('+')) text.remove_prefix(1);
  return text.size() > 18 && text.find_first_not_of("0123456789_") == text.npos;
}

/// An element of a list: yacs leaves strings in lists alone.
Value decode_element(const RawValue& item, Kind element) {
  if (item.form == RawValue::Form::list) return *decode(item);
  const Value value = item.form == RawValue::Form::plain ? resolve_yaml_scalar(item.text) : Value(item.text);
  return element == Kind::string && !value.is_none() ? Value(item.text) : value;
}

Value decode_list(const RawValue& list, Kind element) {
  Value::List items;
  for (const auto& item : list.items) items.push_back(decode_element(*item, element));
  return Value(std::move(items));
}

bool only_strings(const Value& list) {
  const auto* items = list.get_if<Value::List>();
  return items &&
         std::all_of(items->begin(), items->end(), [](const Value& v) { return v.kind() == Kind::string; });
}

bool contains_map(const RawValue& raw) {
  return raw.form == RawValue::Form::map || std::any_of(raw.items.begin(), raw.items.end(),
                                                        [](const auto& item) { return contains_map(*item); });
}

}  // namespace

std::optional<Value> decode(const RawValue& raw) {
  if (contains_map(raw)) return std::nullopt;
  if (raw.form == RawValue::Form::list) return decode_list(raw, Kind::none);
  const Value value = raw.form == RawValue::Form::plain ? resolve_yaml_scalar(raw.text) : Value(raw.text);
  if (value.kind() != Kind::string) return value;
  return parse_literal(raw.text).value_or(value);
}

std::optional<Value> decode(const RawValue& raw, const Type& type, const Range& range) {
  if (contains_map(raw)) return std::nullopt;
  if (raw.form == RawValue::Form::list) return coerce(decode_list(raw, type.element), type);
  const Value value = *decode(raw);
  if (type.kind == Kind::string) {
    // A str key takes the text as it stands; quotes inside it, as in "'10'", are yacs' way to say the same.
    if (value.is_none() || value.kind() == Kind::string) return value;
    return raw.tagged ? std::nullopt : std::optional(Value(raw.text));
  }
  const bool words_expected = type.kind == Kind::list && type.element == Kind::string;
  if (words_expected && !only_strings(value) &&
      (value.kind() == Kind::list || trimmed(raw.text).starts_with('['))) {
    if (auto words = word_list(raw.text)) return words;
  }
  if (auto typed = coerce(value, type)) return typed;
  const std::string_view word = trimmed(raw.text);
  if (word == "null" || word == "~") return Value();
  if (type.kind == Kind::boolean) {
    if (const Value yes_or_no = resolve_yaml_scalar(word); yes_or_no.kind() == Kind::boolean)
      return yes_or_no;
  }
  if (type.kind == Kind::real && range.nonfinite) {
    if (const auto number = nonfinite_word(word)) return Value(*number);
  }
  return std::nullopt;
}

std::string describe(const Value& value) {
  const std::string text = printable(value.repr(), 80);
  return value.is_none() ? text : fmt::format("{} ({})", text, kind_name(value.kind()));
}

std::string describe(const RawValue& raw) {
  if (raw.form == RawValue::Form::map) return raw.entries.empty() ? "{}" : "a group of keys";
  if (raw.is_scalar() && is_large_integer(raw.text))
    return printable(raw.text, 80) + " (an integer beyond 64 bits)";
  const auto value = decode(raw);
  return value ? describe(*value) : "a list with groups in it";
}

}  // namespace trainer::config
