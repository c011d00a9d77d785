// Config: the merged tree of all keys. Stage 1 of configuration; binding to structs is stage 2
// (lib/config/fields.h).
//
// The tree is static: every key is declared by the component that reads it, with its default. Merging never
// adds a key (except in subtrees declared `new_allowed`) and follows yacs' leaf rules, as a superset:
// docs/config.md. Each leaf remembers where its value came from. A merge is atomic: all of its problems are
// reported together in one Error(Exit::usage), and then nothing has changed.
//
//   Config config = Config::defaults();
//   config.merge({.file = "exp.yaml", .opts = opts, .flags = flags});
//   config.freeze();
//   auto train = bind<TrainConfig>(config.group("TRAIN"));
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
#include "lib/config/value.h"

namespace trainer::config {

/// A dedicated command line flag that was given; one that was not given has no place here.
struct Flag {
  std::string name;   ///< "--batch-size"
  std::string key;    ///< "DATA.BATCH_SIZE"
  std::string value;  ///< as on the command line
};

/// What one command merges, lowest first: BASE files, the file, --opts, flags.
struct Sources {
  std::optional<std::filesystem::path> file = {};
  std::span<const std::string> opts = {};  ///< KEY VALUE ... or KEY=VALUE
  std::span<const Flag> flags = {};
};

/// All there is to say about one key.
struct Explanation {
  std::string key, type, help, range, unit;
  std::vector<std::string> choices;
  bool unsupported = false;
  Value default_value;                 ///< the default
  std::vector<Node::Setting> history;  ///< the default and each layer that set it; the last is in force
};

class Config {
 public:
  /// Everything declared so far, at its default.
  static Config defaults();

  /// Merges several sources at once; their problems come in one Error(Exit::usage).
  void merge(const Sources&);
  void merge_file(const std::filesystem::path& path) { merge({.file = path}); }
  void merge_opts(std::span<const std::string> words) { merge({.opts = words}); }
  /// Sets one leaf from code. The same rules hold, and the same Error.
  void set(std::string_view key, const Value&, Origin = {Origin::Layer::code, ""});

  /// References to nodes are valid until the next merge or set.
  const Node& root() const { return root_; }
  /// The group (or leaf) at a dotted key.
  const Node& group(std::string_view path) const { return root_.at(path); }
  /// A leaf's value as T (see convert()), which now counts as read. None or another type is
  /// Error(Exit::usage).
  template <class T>
  T get(std::string_view key) const {
    const Node& leaf = root_.at(key);
    auto value = convert<T>(leaf.read());
    if (!value)
      fail(Exit::usage, "{}: {}: expected {}, given {}", leaf.origin().str(), key, type_of<T>().name(),
           leaf.value().repr());
    return std::move(*value);
  }

  /// After freeze() every merge and set is Error(Exit::internal), for the whole tree. A copy keeps that
  /// state.
  void freeze() { frozen_ = true; }
  void defrost() { frozen_ = false; }
  bool is_frozen() const { return frozen_; }
  Config clone() const { return *this; }

  /// Sorted YAML. Every YAML reader gets the same values out of it, and merging it into defaults() gives an
  /// equal tree.
  std::string dump() const;

  std::vector<std::string> keys() const;
  const Origin& origin(std::string_view key) const { return root_.at(key).origin(); }
  /// Throws Error(Exit::usage) with near keys if there is no such leaf.
  Explanation explanation(std::string_view key) const;
  /// Keys whose value is not the default and that nothing has read.
  std::vector<std::string> unread() const;
  /// A line for each deprecated key that a merge has ignored, for the log.
  const std::vector<std::string>& notices() const { return notices_; }

  /// Same keys and same values; origins do not matter.
  friend bool operator==(const Config& a, const Config& b) { return a.root_ == b.root_; }

 private:
  Node root_;
  std::vector<std::string> notices_;
  bool frozen_ = false;
};

}  // namespace trainer::config
