// Merger: the implementation of Config::merge(). Sets leaves from files, --opts and flags by yacs' rules, and
// collects problems instead of throwing.
#pragma once

#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "lib/config/node.h"
#include "lib/config/problems.h"
#include "lib/config/raw_value.h"
#include "lib/config/yaml.h"

namespace trainer::config {

class Merger {
 public:
  /// Merges into `root`; `notices` gets a line for each deprecated key that was skipped.
  Merger(Node& root, Problems& problems, std::vector<std::string>& notices)
      : root_(root), problems_(problems), notices_(notices) {}

  /// The user's own defaults: keys that are declared for it (Fields::user_default), and no BASE.
  void user_file(const std::filesystem::path&);
  /// The files in the file's BASE key (recursively, relative to the file that names them), then the file.
  void file(const std::filesystem::path&);
  /// KEY VALUE ... or KEY=VALUE, in any mixture.
  void opts(std::span<const std::string>);
  /// One key, its value as text.
  void text(std::string_view key, std::string_view value, const Origin&);
  /// One key, its value with a type.
  void value(std::string_view key, const Value&, const Origin&);

 private:
  void file(const std::filesystem::path&, Origin::Layer, std::vector<std::filesystem::path>& including);
  void bases(const RawValue& base, const Origin& where, const std::filesystem::path& file,
             std::vector<std::filesystem::path>& including);
  void map(std::string_view group, const RawValue& map, std::string_view file, Origin::Layer);
  void assign(const std::string& key, const RawValue&, const Origin&);
  void assign_leaf(Node& leaf, const RawValue&, const Origin&);
  void add_new(const std::string& key, const RawValue&, const Origin&);
  void set(Node& leaf, const std::optional<Value>& typed, const std::optional<Value>& untyped,
           const std::string& given, const Origin&);
  void not_for_users(const std::string& key, const Origin&);
  bool outdated(const std::string& key, const Origin&);
  void unknown(const std::string& key, const Origin&);

  Node& root_;
  Problems& problems_;
  std::vector<std::string>& notices_;
  Budget budget_;
  std::map<std::string, std::string> suggestions_;  // for unknown keys: finding near names takes a while
};

}  // namespace trainer::config
