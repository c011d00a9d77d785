// Registry: components by name. A component is defined and registered in one .cpp.
//
//   const bool registered = optimizers().add<Sgd>("sgd");         // lib/optim/sgd.cpp
//   auto sgd = optimizers().make("sgd", config.group("TRAIN.OPTIMIZER"), parameters);
//
// Components are added by static initialisers; after that a registry may be read from any thread.
#pragma once

#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/error.h"
#include "lib/base/text.h"
#include "lib/config/config.h"

namespace trainer {

/// Components that share Base and are made from a T::Config and Args. T needs
///   struct Config { ...; void fields(config::Fields&); };     and     T(const Config&, Args...).
/// Each T's fields are declared into the static configuration tree at `group` when it is added.
template <class Base, class... Args>
class Registry {
 public:
  /// `kind` is for messages ("optimizer"); `group` is where the components' keys live ("TRAIN.OPTIMIZER").
  Registry(std::string kind, std::string group) : kind_(std::move(kind)), group_(std::move(group)) {}

  /// Registers T under `name`. `preset` has the members without a key that the name implies (the depths of a
  /// model). A second component of the same name throws.
  template <class T>
  bool add(std::string name, typename T::Config preset = {}) {
    config::declare(group_, typename T::Config{});
    Make make = [preset](const config::Node& group, Args... args) -> std::unique_ptr<Base> {
      return std::make_unique<T>(config::bind(group, preset), std::forward<Args>(args)...);
    };
    Entry entry{std::move(make), config::keys_of(preset)};
    check(entries_.emplace(name, std::move(entry)).second, "{} '{}' is registered twice", kind_, name);
    return true;
  }

  bool has(std::string_view name) const { return entries_.contains(name); }

  /// "unknown optimizer 'adamv' (did you mean adamw?)"; "" if there is such a component.
  std::string problem(std::string_view name) const {
    return has(name) ? "" : fmt::format("unknown {} '{}'{}", kind_, name, suggestion(name));
  }

  /// The component of that name has this key, relative to group().
  bool reads(std::string_view name, std::string_view key) const {
    const auto entry = entries_.find(name);
    return entry != entries_.end() && std::ranges::count(entry->second.keys, key) > 0;
  }

  /// Binds the component's Config from `group` and constructs it. Throws Error(Exit::usage) with near names
  /// if there is no such name.
  std::unique_ptr<Base> make(std::string_view name, const config::Node& group, Args... args) const {
    const auto entry = entries_.find(name);
    if (entry == entries_.end()) fail(Exit::usage, "{}", problem(name));
    return entry->second.make(group, std::forward<Args>(args)...);
  }

  std::vector<std::string> names() const {
    std::vector<std::string> all;
    for (const auto& [name, entry] : entries_) all.push_back(name);
    return all;
  }
  const std::string& group() const { return group_; }

 private:
  /// Near names, or all names if none is near.
  std::string suggestion(std::string_view word) const {
    std::string text = did_you_mean(word, names());
    if (!text.empty()) return text;
    for (const std::string& name : names()) text += (text.empty() ? " (known: " : ", ") + name;
    return text.empty() ? text : text + ")";
  }

  using Make = std::function<std::unique_ptr<Base>(const config::Node&, Args...)>;
  std::string kind_, group_;
  struct Entry {
    Make make;
    std::vector<std::string> keys;
  };
  std::map<std::string, Entry, std::less<>> entries_;
};

}  // namespace trainer
