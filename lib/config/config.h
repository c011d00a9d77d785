// Config: the tree of all configuration keys, merged from defaults, files and the command line.
//
//   Config config = Config::defaults();
//   config.merge({.file = "exp.yaml", .opts = opts, .flags = flags});
//   config.freeze();
//   auto train = bind<TrainConfig>(config.group("TRAIN"));       // lib/config/fields.h
//
// The tree is static: each key is declared, with its default, by the component that reads it. A merge follows
// yacs' rules, as a superset (docs/config.md), and adds no keys except below groups declared with
// declare_new_allowed(). Each leaf keeps the history of its values and where they came from. A merge is
// atomic: if there are problems, all of them are in one Error(Exit::usage), and nothing has changed.
#pragma once

#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/error.h"
#include "lib/config/declare.h"
#include "lib/config/fields.h"
#include "lib/config/node.h"
#include "lib/config/problems.h"
#include "lib/config/value.h"

namespace trainer::config {

/// A command line flag for one key, as given by the user.
struct Flag {
  std::string name;   ///< "--batch-size"
  std::string key;    ///< "DATA.BATCH_SIZE"
  std::string value;  ///< as on the command line
};

/// What a merge reads. Later ones win: the user's file, BASE files, the file, --opts, flags.
struct Sources {
  /// Defaults for all runs of a user, of the keys that are declared for it (Fields::user_default): no other key is
  /// accepted there.
  std::optional<std::filesystem::path> user_file = {};
  std::optional<std::filesystem::path> file = {};
  std::span<const std::string> opts = {};  ///< KEY VALUE ... or KEY=VALUE
  std::span<const Flag> flags = {};
};

/// All that is known of one key, for --explain and docs.
struct Explanation {
  std::string key, type, help, range, unit;
  std::vector<std::string> choices;
  bool unsupported = false;
  bool user_default = false;
  Value default_value;
  std::vector<Node::Setting> history;  ///< the default and each value that was set; the last one holds
};

class Config {
 public:
  /// Everything declared so far, at its default.
  static Config defaults();

  /// Merges several sources at once; their problems come in one Error(Exit::usage), with those of check_values().
  void merge(const Sources&);
  /// The same for who has more to complain of: adds what is wrong to `problems` and merges what is right.
  void merge(const Sources&, Problems& problems);
  /// Adds values that were set and that no component would accept (range, choice), also where nothing will read them.
  /// bind() checks those that are read.
  void check_values(Problems&) const;
  void merge_file(const std::filesystem::path& path) { merge({.file = path}); }
  void merge_opts(std::span<const std::string> words) { merge({.opts = words}); }
  /// Sets one leaf from code. The same rules hold, and the same Error.
  void set(std::string_view key, const Value&, Origin = {Origin::Layer::code, ""});

  /// References to nodes are valid until the next merge or set.
  const Node& root() const { return root_; }
  /// The group (or leaf) at a dotted key.
  const Node& group(std::string_view path) const { return root_.at(path); }
  /// A leaf's value as T (see convert()); marks it as read. Error(Exit::usage) if it is None or of another
  /// type.
  template <class T>
  T get(std::string_view key) const {
    const Node& leaf = root_.at(key);
    auto value = convert<T>(leaf.read());
    if (!value)
      fail(Exit::usage, "{}: {}: expected {}, given {}", leaf.origin().str(), key, type_of<T>().name(),
           leaf.value().repr());
    return std::move(*value);
  }

  /// After freeze() every merge and set is Error(Exit::internal). A copy is as frozen as the original.
  void freeze() { frozen_ = true; }
  void defrost() { frozen_ = false; }
  bool is_frozen() const { return frozen_; }
  Config clone() const { return *this; }

  /// Sorted YAML with the same meaning to every YAML reader. Merging it into defaults() gives an equal tree.
  std::string dump() const;

  std::vector<std::string> keys() const;
  const Origin& origin(std::string_view key) const { return root_.at(key).origin(); }
  /// Throws Error(Exit::usage) with near keys if there is no such leaf.
  Explanation explanation(std::string_view key) const;
  /// Keys that were set to another value than the default, not in the user's file, and that nothing has read.
  std::vector<std::string> unread() const;
  /// A line for the log for each deprecated key that a merge has ignored.
  const std::vector<std::string>& notices() const { return notices_; }

  /// Same keys and same values; origins do not matter.
  friend bool operator==(const Config& a, const Config& b) { return a.root_ == b.root_; }

 private:
  Node root_;
  std::vector<std::string> notices_;
  bool frozen_ = false;
};

}  // namespace trainer::config
