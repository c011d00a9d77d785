#include "lib/config/value.h"

#include <fmt/core.h>

#include <array>
#include <cmath>

#include "lib/config/literal.h"

namespace trainer::config {

std::string_view kind_name(Kind kind) {
  constexpr std::array<std::string_view, 6> names = {"None", "bool", "int", "float", "str", "list"};
  return names[static_cast<size_t>(kind)];
}

bool operator==(const Value& a, const Value& b) {
  if (const auto* x = a.get_if<double>(), *y = b.get_if<double>(); x && y)
    return *x == *y || (std::isnan(*x) && std::isnan(*y));
  return a.data == b.data;
}

std::string Value::repr() const {
  if (is_none()) return "None";
  if (const auto* v = get_if<bool>()) return *v ? "True" : "False";
  if (const auto* v = get_if<int64_t>()) return fmt::format("{}", *v);
  if (const auto* v = get_if<double>()) {
    std::string text = fmt::format("{}", *v);
    if (std::isfinite(*v) && text.find_first_of(".e") == text.npos) text += ".0";
    return text;
  }
  if (const auto* v = get_if<std::string>()) return quote_literal(*v);
  std::string text = "[";
  for (const Value& item : std::get<List>(data)) text += (text.size() > 1 ? ", " : "") + item.repr();
  return text + "]";
}

std::string Type::name() const {
  if (kind == Kind::none) return "any value";
  std::string text(kind_name(kind));
  if (element != Kind::none) text += fmt::format(" of {}", kind_name(element));
  if (or_auto) text += " or auto";
  if (nullable) text += " or None";
  return text;
}

Type type_of(const Value& value) {
  Type type{.kind = value.kind(), .nullable = value.is_none()};
  if (const auto* items = value.get_if<Value::List>(); items && !items->empty()) {
    type.element = items->front().kind();
    for (const Value& item : *items) {
      if (item.kind() != type.element) type.element = Kind::none;
    }
  }
  return type;
}

std::string Range::describe() const {
  std::string text;
  if (std::isfinite(min)) text += fmt::format("{} {}", min_open ? ">" : ">=", min);
  if (std::isfinite(max))
    text += fmt::format("{}{} {}", text.empty() ? "" : " and ", max_open ? "<" : "<=", max);
  if (length >= 0) text += fmt::format("{}{} elements", text.empty() ? "" : ", ", length);
  return text;
}

bool Range::contains(double v) const {
  if (!std::isfinite(v) && !nonfinite) return false;
  if (std::isnan(v)) return true;
  return (min_open ? v > min : v >= min) && (max_open ? v < max : v <= max);
}

std::optional<Value> coerce(const Value& value, const Type& type) {
  if (value.is_none() || type.kind == Kind::none) return value;
  if (type.kind == Kind::real && value.kind() == Kind::integer) {
    const auto exact = convert<double>(value);
    return exact ? std::optional<Value>(*exact) : std::nullopt;
  }
  if (type.or_auto && value == Value("auto")) return value;
  if (value.kind() != type.kind) return std::nullopt;
  if (type.kind != Kind::list || type.element == Kind::none) return value;

  Value::List items = std::get<Value::List>(value.data);
  const Type element{.kind = type.element};
  for (Value& item : items) {
    std::optional<Value> typed = coerce(item, element);
    if (const auto* text = item.get_if<std::string>(); !typed && text) {
      if (const auto parsed = parse_literal(*text)) typed = coerce(*parsed, element);
    }
    const bool word = type.element == Kind::string && item.kind() != Kind::list;
    if (!typed && word) typed = Value(item.repr());
    if (typed) item = std::move(*typed);
  }
  return Value(std::move(items));
}

}  // namespace trainer::config
