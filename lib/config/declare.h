// Declarations of configuration keys. Each component declares the keys that it reads, before main() or when a
// plug-in is loaded, usually through Registry::add() or declare<T>() of lib/config/fields.h.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "lib/config/value.h"

namespace trainer::config {

struct Declaration {
  std::string key;  ///< "TRAIN.BASE_LR"; inside Fields relative to the group
  Type type;
  Value default_value;
  std::string help;
  Range range = {};
  std::vector<std::string> choices = {};
  bool int32 = false;         ///< the member that it is bound to is an int
  bool unsupported = false;   ///< known, but not implemented: only the default is accepted
  bool user_default = false;  ///< the user's own file may set it (Fields::user_default)
};

/// A dotted key: not empty, no empty part.
bool is_key(std::string_view);

/// Adds a key. It may be declared again with the same type, default and `user_default`; a declaration that is not
/// `unsupported` replaces one that is. Anything else, as a key that is a group elsewhere, is Error(Exit::internal).
void declare(Declaration);

/// A file or --opts that sets `old_key` (or a key below it) is an error that names `new_key` and the note.
void declare_renamed(std::string old_key, std::string new_key, std::string note = {});
/// A file or --opts that sets `key` (or a key below it) gets a notice; the value is ignored.
void declare_deprecated(std::string key);
/// Files and --opts may add keys of any type below `group`.
void declare_new_allowed(std::string group);

/// Everything declared so far.
struct Declarations {
  struct Renamed {
    std::string key, note;
  };
  std::map<std::string, Declaration, std::less<>> keys;
  std::map<std::string, Renamed, std::less<>> renamed;
  std::vector<std::string> deprecated;
  std::vector<std::string> new_allowed;
};
const Declarations& declarations();

}  // namespace trainer::config
