// Where our merge differs from yacs', on purpose: the table that yacs_test.cpp holds every difference to, and that
// docs/config-yacs.md prints.
#pragma once

#include <algorithm>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "lib/config/config.h"

namespace trainer::config {

/// One value, or one file, of which yacs and we make different things.
struct Difference {
  enum class Side { yacs_refuses, we_refuse, values } side;
  nlohmann::json input;                  // the case
  std::string key = {};                  // "" for the file as a whole
  std::string had = {};                  // yacs_refuses: what the key had there: "int", "missing", ...
  nlohmann::json theirs = {};            // the value that yacs refuses or has
  std::optional<std::string> text = {};  // yacs_refuses: that value as it is written
  Type type = {};                        // of our key
  std::optional<Value> ours = {};        // nullopt: refused, or replaced by a later one
  std::string message = {};              // we_refuse: a line of our error
};

/// A value of the fixture that our tree cannot hold: an integer beyond 64 bits, a date, a dict, ...
inline bool is_foreign(const nlohmann::json& value) {
  if (value.is_array()) return std::any_of(value.begin(), value.end(), is_foreign);
  return value.is_object() && !value.contains("float");
}

inline Value value_of(const nlohmann::json& value) {
  if (value.is_boolean()) return value.get<bool>();
  if (value.is_number_integer()) return value.get<int64_t>();
  if (value.is_number()) return value.get<double>();
  if (value.is_string()) return value.get<std::string>();
  if (value.is_object()) return std::strtod(value.value("float", "0").c_str(), nullptr);
  Value::List items;
  for (const auto& item : value) items.push_back(value_of(item));
  return value.is_null() ? Value() : Value(std::move(items));
}

inline bool is_same(const nlohmann::json& theirs, const Value& ours) {
  return !is_foreign(theirs) && value_of(theirs) == ours;
}

namespace detail {

using Json = nlohmann::json;
using Side = Difference::Side;

/// Lower case, without spaces around it.
inline std::string word(const Json& theirs) {
  std::string text = theirs.is_string() ? theirs.get<std::string>() : "";
  text.erase(0, text.find_first_not_of(" \t\n"));
  text.erase(text.find_last_not_of(" \t\n") + 1);
  std::transform(text.begin(), text.end(), text.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? c + 32 : c; });
  return text;
}

inline bool is_one_of(const std::string& text, std::initializer_list<std::string_view> words) {
  return std::find(words.begin(), words.end(), text) != words.end();
}

/// Our value if it has to be `expected`; one that was replaced since says nothing.
inline bool is(const Difference& d, const Value& expected) { return !d.ours || *d.ours == expected; }

inline bool is_refusal_with(const Difference& d, std::string_view words) {
  return d.side == Side::we_refuse && d.message.find(words) != std::string::npos;
}

/// The number that a text in a list spells, read without our own reader.
inline double number(std::string text) {
  std::erase(text, '_');
  if (text.starts_with("0o")) return static_cast<double>(std::strtoll(text.c_str() + 2, nullptr, 8));
  return std::strtod(text.c_str(), nullptr);
}

inline bool is_typed_element(const Json& theirs, const Value& ours, Kind element) {
  if (is_same(theirs, ours) || (word(theirs) == "none" && ours.is_none())) return true;
  if (element == Kind::string) return ours.kind() == Kind::string && !theirs.is_array();
  if (element == Kind::list) return theirs.is_string() && ours.kind() == Kind::list;
  const auto* real = ours.get_if<double>();
  const auto* integer = ours.get_if<int64_t>();
  if (theirs.is_string() && ours.kind() == element)
    return (real ? *real : static_cast<double>(*integer)) == number(theirs.get<std::string>());
  return theirs.is_number_integer() && element == Kind::real && real && *real == theirs.get<double>();
}

inline bool is_typed_list(const Difference& d) {
  const auto* items = d.ours ? d.ours->get_if<Value::List>() : nullptr;
  if (d.side != Side::values || !items || !d.theirs.is_array() || items->size() != d.theirs.size())
    return false;
  for (size_t i = 0; i < items->size(); ++i) {
    if (!is_foreign(d.theirs[i]) && !is_typed_element(d.theirs[i], (*items)[i], d.type.element)) return false;
  }
  return !is_foreign(d.theirs);
}

/// Whether an earlier value of this key was null, which yacs refused.
inline bool was_null(const Difference& d) {
  for (const Json& refusal : d.input.value("refused", Json::array())) {
    if (refusal[0] == d.key && refusal.size() > 4 && is_one_of(word(refusal[2]), {"null", "~"})) return true;
  }
  return false;
}

/// Whether yacs refused the file as a whole, with this exception, and some text is in it.
inline bool is_file_error(const Difference& d, std::string_view error, std::string_view text) {
  return d.had == "file" && d.theirs == error && d.input.value("yaml", "").find(text) != std::string::npos;
}

}  // namespace detail

struct Rule {
  std::string_view name, reason;
  bool (*explains)(const Difference&);
};

inline std::span<const Rule> rules() {
  using namespace detail;
  static const Rule all[] = {
      // yacs refuses, we accept
      {"int-for-float", "`BASE_LR 1` is 1.0: nothing is lost. yacs wants `1.`",
       [](const Difference& d) {
         return d.side == Side::yacs_refuses && d.type.kind == Kind::real && d.theirs.is_number_integer() &&
                is(d, Value(d.theirs.get<double>()));
       }},
      {"bool-words",
       "true, false, yes, no, on, off are booleans wherever a bool is expected; in --opts and quotes yacs "
       "knows True and False only",
       [](const Difference& d) {
         const bool yes = is_one_of(word(d.theirs), {"true", "yes", "on"});
         return d.side == Side::yacs_refuses && d.type.kind == Kind::boolean &&
                (yes || is_one_of(word(d.theirs), {"false", "no", "off"})) && is(d, Value(yes));
       }},
      {"null-words", "null and ~ are None in --opts and quotes too, but for a key that takes text",
       [](const Difference& d) {
         if (d.side == Side::yacs_refuses && was_null(d)) return true;  // and takes anything now
         return d.side != Side::we_refuse && d.type.kind != Kind::string &&
                is_one_of(word(d.theirs), {"null", "~"}) && is(d, Value());
       }},
      {"text-for-str",
       "a str key takes what is written, `10` or `yes`, quoted or not; yacs reads a number and refuses it",
       [](const Difference& d) {
         return d.side == Side::yacs_refuses && d.type.kind == Kind::string && !d.theirs.is_string() &&
                d.text && is(d, Value(*d.text));
       }},
      {"words-for-list",
       "`[a, b]` and `a,b` are lists where a list of str is expected; yacs wants quotes around each",
       [](const Difference& d) {
         const auto* items = d.ours ? d.ours->get_if<Value::List>() : nullptr;
         return d.side == Side::yacs_refuses && d.type.kind == Kind::list && d.type.element == Kind::string &&
                d.theirs.is_string() && items &&
                std::all_of(items->begin(), items->end(), [&](const Value& item) {
                  const auto* text = item.get_if<std::string>();
                  return item.is_none() || (text && d.text && d.text->find(*text) != std::string::npos);
                });
       }},
      {"declared-type",
       "what a key accepts is declared; for yacs a key that was set to None takes the type of what comes "
       "next",
       [](const Difference& d) {
         const Kind kind = d.type.kind;
         if (d.side == Side::yacs_refuses) {
           const bool changed =
               d.had != kind_name(kind) && is_one_of(d.had, {"int", "float", "bool", "str", "list"});
           return changed && (!d.ours || kind == Kind::none || d.ours->kind() == kind);
         }
         const auto& opts = d.input.value("opts", Json::array());
         const std::string file = d.input.value("yaml", "");
         const bool was_none = std::find(opts.begin(), opts.end(), "None") != opts.end() ||
                               file.find(": null") != file.npos || file.find(": None") != file.npos;
         return d.side == Side::values && was_none && d.ours && d.ours->kind() == kind &&
                value_of(d.theirs).kind() != kind;
       }},
      {"other-literals", "text that Python reads as a dict, set, bytes, complex number, date or ... is text",
       [](const Difference& d) {
         return d.side == Side::yacs_refuses && (d.type.kind == Kind::none || d.had == "None") &&
                is_foreign(d.theirs) && d.text && is(d, Value(*d.text));
       }},
      {"odd-words", "`=`, `<<`, `0x_` and a day such as 2020-13-45 are text; PyYAML fails on them",
       [](const Difference& d) {
         for (const std::string_view text : {" =\n", "[=]\n", ": <<\n"}) {
           if (is_file_error(d, "ConstructorError", text)) return true;
         }
         return is_file_error(d, "ValueError", "_\n") || is_file_error(d, "ValueError", "-13-45\n");
       }},
      {"key-equals-value", "`--opts KEY=VALUE` beside `KEY VALUE`",
       [](const Difference& d) {
         return d.side == Side::yacs_refuses && d.had == "equals" &&
                (is(d, Value(*d.text)) || d.ours->repr() == *d.text);
       }},
      {"tabs", "a tab is a space except in indentation, as in YAML 1.2",
       [](const Difference& d) { return is_file_error(d, "ScannerError", "\t"); }},
      {"anchors-again", "an anchor's name may be used again, as in YAML 1.2; an alias means the last",
       [](const Difference& d) { return is_file_error(d, "ComposerError", "&a y"); }},
      {"colons-in-lists", "`[:1]` is a list with the text `:1`, as in YAML 1.2; `{KEY: :1}` likewise",
       [](const Difference& d) {
         return is_file_error(d, "ParserError", "[:") || is_file_error(d, "ParserError", ", :") ||
                is_file_error(d, "ParserError", ": :");
       }},
      {"tags-in-braces", "`{KEY: !!str}` and `[!!str]` end the tag, as in YAML 1.2",
       [](const Difference& d) {
         return is_file_error(d, "ScannerError", "!!str}") || is_file_error(d, "ScannerError", "!!str]");
       }},
      {"anchor-names", "an anchor's name may have characters that are no letters, as in YAML 1.2",
       [](const Difference& d) { return is_file_error(d, "ScannerError", "&"); }},
      {"values-at-the-margin", "`KEY: !!str` over a value that is no further right is read as its value",
       [](const Difference& d) { return is_file_error(d, "ScannerError", ": !"); }},
      // Both accept
      {"last-line-breaks",
       "a block scalar whose last line is blank or ends in a quote, without a line break, gets one",
       [](const Difference& d) {
         const std::string file = d.input.value("yaml", "");
         return d.side == Side::values && !file.ends_with("\n") && d.ours && d.theirs.is_string() &&
                *d.ours == Value(d.theirs.get<std::string>() + "\n");
       }},
      {"unicode-names", "`'\\N{EM DASH}'` is text as it stands: we have no table of names",
       [](const Difference& d) {
         return is_refusal_with(d, "\\N{") ||
                (d.side == Side::values && d.ours && d.ours->repr().find("\\N{") != std::string::npos);
       }},
      {"typed-elements",
       "elements have their list's type, `[1e-3, 1]` is two floats; yacs leaves texts and integers in it",
       is_typed_list},
      // yacs accepts, we refuse
      {"duplicate-keys", "one of two values would be lost without a word; yacs keeps the last",
       [](const Difference& d) { return is_refusal_with(d, "duplicate key"); }},
      {"empty-files", "a file without keys is a mistake; for yacs it does nothing",
       [](const Difference& d) { return is_refusal_with(d, "the file is empty"); }},
      {"merge-keys", "`<<` hides where a value comes from; BASE files are for that",
       [](const Difference& d) { return is_refusal_with(d, "merge keys (<<)"); }},
      {"tags",
       "tags beyond YAML's str, int, float, bool, null, seq and map are refused; PyYAML knows omap and set, "
       "too",
       [](const Difference& d) { return is_refusal_with(d, "the tag "); }},
      {"colons", "`{KEY:[1]}` wants a space after the colon",
       [](const Difference& d) { return is_refusal_with(d, "end of map flow not found"); }},
      {"unicode-breaks",
       "U+0085, U+2028 and U+2029 end a line in YAML 1.1 and not in 1.2: they are refused, unless written as "
       "`\"\\N\"`, `\"\\L\"`, `\"\\P\"`",
       [](const Difference& d) { return is_refusal_with(d, "ends a line for some readers"); }},
      {"percent-lines", "a line that begins with % is a directive; in quotes and lists yacs reads on",
       [](const Difference& d) { return is_refusal_with(d, "a line that begins with % is a directive"); }},
      {"empty-keys", "a key is a word, also in a map inside a list",
       [](const Difference& d) { return is_refusal_with(d, "a key must be a word"); }},
      {"base-in-opts", "BASE is read with the file that names it; for yacs it is a key like others",
       [](const Difference& d) { return is_refusal_with(d, "BASE: can only be set in files"); }},
      {"integers-beyond-64-bits", "Python's integers have no end, ours have 64 bits",
       [](const Difference& d) {
         return is_refusal_with(d, "an integer beyond 64 bits") ||
                (d.side == Side::values && d.theirs.contains("int"));
       }},
      {"foreign-elements",
       "a list holds numbers, texts, booleans, None and lists; yacs does not look into it",
       [](const Difference& d) {
         return (d.side == Side::we_refuse || d.side == Side::values) && is_foreign(d.theirs);
       }},
  };
  return all;
}

}  // namespace trainer::config
