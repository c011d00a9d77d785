// RawValue: a value as it is written in a file or on the command line, before the type of its key is applied.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "lib/config/value.h"

namespace trainer::config {

/// A position in a file, from 1.
struct Mark {
  int line = 0, column = 0;
};

struct RawValue {
  enum class Form : uint8_t {
    text,    ///< a word of the command line
    plain,   ///< a YAML scalar without quotes
    quoted,  ///< a YAML scalar in quotes, or a block scalar
    list,
    map,
  };
  struct Entry {
    std::string key;
    Mark mark;  ///< of the key
    std::shared_ptr<const RawValue> value;
  };

  Form form = Form::text;
  bool tagged = false;  ///< a plain scalar of which a tag such as !!int says that it is no text
  Mark mark = {};
  std::string text = {};                                    ///< of the first three forms
  std::vector<std::shared_ptr<const RawValue>> items = {};  ///< of a list; aliases share them
  std::vector<Entry> entries = {};                          ///< of a map, in the order of the file

  bool is_scalar() const { return form != Form::list && form != Form::map; }
};

/// The value as yacs reads it: YAML 1.1's rules for a plain scalar (yes, 010, 1:30), then Python's literals
/// for a string outside of a list. nullopt for a map.
std::optional<Value> decode(const RawValue&);

/// The value for a key of this type, a superset of that: "10" for a str key, `1` and nan (where `range`
/// allows it) for a float, yes and no for a bool, typed list elements; None for any. nullopt if it does not
/// fit.
std::optional<Value> decode(const RawValue&, const Type&, const Range&);

/// For messages: "'abc' (str)", "10 (int)", "a group of keys"; long texts are cut.
std::string describe(const RawValue&);
std::string describe(const Value&);

}  // namespace trainer::config
