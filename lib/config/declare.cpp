#include "lib/config/declare.h"

#include <algorithm>

#include "lib/base/error.h"

namespace trainer::config {
namespace {

/// Function-local: static initialisers of other translation units may run first.
Declarations& all() {
  static Declarations declarations;
  return declarations;
}

void check_place(const Declarations& known, const std::string& key) {
  check(is_key(key), "'{}' is not a configuration key: expected words with dots between them", key);
  for (size_t dot = key.find('.'); dot != key.npos; dot = key.find('.', dot + 1)) {
    check(!known.keys.contains(key.substr(0, dot)), "{} is declared below the leaf {}", key,
          key.substr(0, dot));
  }
  const auto below = known.keys.lower_bound(key + ".");
  const bool is_group = below != known.keys.end() && below->first.starts_with(key + ".");
  check(!is_group, "{} is declared as a leaf and as the group of {}", key, is_group ? below->first : "");
}

/// The help text of a key that several components read is all of theirs.
void add_meaning(std::string& help, const std::string& more) {
  if (help.find(more) == help.npos) help += "; " + more;
}

}  // namespace

const Declarations& declarations() { return all(); }

bool is_key(std::string_view text) {
  return !text.empty() && text.front() != '.' && text.back() != '.' && text.find("..") == text.npos;
}

void declare(Declaration added) {
  Declarations& known = all();
  check_place(known, added.key);
  const auto [entry, fresh] = known.keys.try_emplace(added.key, added);
  if (fresh) return;
  Declaration& first = entry->second;
  const bool same_type = first.type.kind == added.type.kind && first.type.or_auto == added.type.or_auto &&
                         first.type.element == added.type.element;
  // The type of an unsupported key is only guessed from its default.
  check(same_type || first.unsupported != added.unsupported, "{} is declared as {} and as {}", added.key,
        first.type.name(), added.type.name());
  check(first.default_value == added.default_value, "{} is declared with the defaults {} and {}", added.key,
        first.default_value.repr(), added.default_value.repr());
  if (added.unsupported) return;
  check(first.unsupported || first.user_default == added.user_default,
        "{} is declared for the user's own file by one component and not by another", added.key);
  if (first.unsupported) {
    first = std::move(added);
  } else {
    add_meaning(first.help, added.help);
  }
}

void declare_renamed(std::string old_key, std::string new_key, std::string note) {
  check(!all().renamed.contains(old_key), "{} is declared as renamed twice", old_key);
  all().renamed.emplace(std::move(old_key), Declarations::Renamed{std::move(new_key), std::move(note)});
}

void declare_deprecated(std::string key) {
  auto& keys = all().deprecated;
  check(std::find(keys.begin(), keys.end(), key) == keys.end(), "{} is declared as deprecated twice", key);
  keys.push_back(std::move(key));
}

void declare_new_allowed(std::string group) { all().new_allowed.push_back(std::move(group)); }

}  // namespace trainer::config
