#include "lib/config/fields.h"

#include <algorithm>
#include <cmath>

#include "lib/base/error.h"
#include "lib/base/text.h"
#include "lib/config/raw_value.h"

namespace trainer::config {
namespace {

/// Whether a bound value has exactly the declared type; unlike a merge, binding looks into lists.
bool matches(const Value& value, const Declaration& declared) {
  const Type& type = declared.type;
  if (value.is_none()) return type.nullable || type.kind == Kind::none;
  if (type.kind == Kind::none || (type.or_auto && value == Value("auto"))) return true;
  if (value.kind() != type.kind) return false;
  const auto* items = value.get_if<Value::List>();
  return !items || type.element == Kind::none ||
         std::all_of(items->begin(), items->end(),
                     [&](const Value& item) { return item.kind() == type.element; });
}

/// The numbers in a value, as far as they have a range.
std::vector<double> numbers(const Value& value) {
  if (const auto* v = value.get_if<int64_t>()) return {static_cast<double>(*v)};
  if (const auto* v = value.get_if<double>()) return {*v};
  std::vector<double> all;
  if (const auto* items = value.get_if<Value::List>()) {
    for (const Value& item : *items) {
      for (const double v : numbers(item)) all.push_back(v);
    }
  }
  return all;
}

std::string one_of(const std::vector<std::string>& choices) {
  std::string text = "one of ";
  for (const std::string& choice : choices) text += (text.size() > 7 ? ", " : "") + choice;
  return text;
}

}  // namespace

std::string detail::value_problem(const Value& value, const Declaration& declared) {
  if (declared.unsupported) {
    return value == declared.default_value
               ? ""
               : fmt::format("known but not implemented yet; only the default {} is accepted, given {}",
                             declared.default_value.repr(), describe(value));
  }
  const Range& range = declared.range;
  const std::string bounds = range.describe();
  const std::string expected = declared.type.name() + (bounds.empty() ? "" : " " + bounds);
  if (!matches(value, declared)) return fmt::format("expected {}, given {}", expected, describe(value));
  if (value.is_none()) return "";

  const auto* items = value.get_if<Value::List>();
  const bool counted = items && range.length >= 0 && static_cast<int64_t>(items->size()) != range.length;
  for (const double v : numbers(value)) {
    if (counted || !range.contains(v)) {
      const bool finite = std::isfinite(v) || range.nonfinite;
      return fmt::format("expected {}{}, given {}", finite ? "" : "a finite ", expected, describe(value));
    }
    if (declared.int32 && !convert<int>(Value(static_cast<int64_t>(v)))) {
      return fmt::format("expected {} within 32 bits, given {}", expected, describe(value));
    }
  }
  if (counted) return fmt::format("expected {}, given {}", expected, describe(value));

  const auto& choices = declared.choices;
  if (const auto* text = value.get_if<std::string>(); text && !choices.empty()) {
    if (std::find(choices.begin(), choices.end(), *text) == choices.end()) {
      return fmt::format("expected {}, given {}{}", one_of(choices), describe(value),
                         did_you_mean(*text, choices));
    }
  }
  return "";
}

void Fields::auto_or(std::string_view key, std::optional<int64_t>& member, std::string_view help,
                     const Range& range) {
  const Type type{.kind = Kind::integer, .or_auto = true};
  const Value default_value = member ? Value(*member) : Value("auto");
  if (const Value* value = field({std::string(key), type, default_value, std::string(help), range})) {
    const auto* number = value->get_if<int64_t>();
    member = number ? std::optional(*number) : std::nullopt;
  }
}

void Fields::unsupported(std::string_view key, const Value& default_value, std::string_view help) {
  field({.key = std::string(key),
         .type = type_of(default_value),
         .default_value = default_value,
         .help = std::string(help),
         .unsupported = true});
}

const Value* detail::Declarer::field(Declaration declaration) {
  declaration.key = join_key(root_, join_key(group(), declaration.key));
  declare(std::move(declaration));
  return nullptr;
}

const Value* detail::Binder::field(Declaration declaration) {
  const Node& leaf = root_.at(join_key(group(), declaration.key));
  const Value& value = leaf.read();
  const std::string what = value_problem(value, declaration);
  if (what.empty()) return &value;
  problems_.add(leaf.origin(), leaf.path(), what);
  return nullptr;
}

}  // namespace trainer::config
