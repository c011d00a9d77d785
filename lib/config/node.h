// Node: a node of the merged tree, a group of keys or a leaf with a value. Components bind() their struct
// from a const Node& and do not keep it.
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "lib/config/declare.h"
#include "lib/config/origin.h"
#include "lib/config/value.h"

namespace trainer::config {

class Node {
 public:
  /// A value that a leaf has or had.
  struct Setting {
    Value value;
    Origin origin;
  };

  /// A group without children.
  Node() = default;
  /// A leaf with its default.
  explicit Node(std::shared_ptr<const Declaration>);

  /// The full key from the root; "" for the root.
  const std::string& path() const { return path_; }
  /// The last part of the path.
  std::string_view name() const;
  bool is_leaf() const { return declaration_ != nullptr; }

  /// The node at a dotted key below this one ("" is this one); nullptr if there is none.
  const Node* find(std::string_view key) const;
  Node* find(std::string_view key);
  /// The same, but a missing key is Error(Exit::internal): the caller should have declared it.
  const Node& at(std::string_view key) const;
  /// Sorted by name; empty for a leaf.
  const std::vector<Node>& children() const { return children_; }
  /// All leaves below (or this one), sorted by path.
  std::vector<const Node*> leaves() const;
  /// Whether merging may add keys here.
  bool new_allowed() const { return new_allowed_; }

  // Of a leaf:
  /// The value; marks it as read (Config::unread()).
  const Value& read() const;
  /// The value, without marking it.
  const Value& value() const { return history().back().value; }
  bool was_read() const { return std::atomic_ref(read_).load(std::memory_order_relaxed); }
  const Origin& origin() const { return history().back().origin; }
  /// The default, then each value that was set; the last one holds.
  const std::vector<Setting>& history() const;
  const Declaration& declaration() const;
  void set(Value, Origin);

  // Of a group:
  /// The child of that name, created if needed (it inherits new_allowed).
  Node& add_group(std::string_view name);
  void add_leaf(std::string_view name, std::shared_ptr<const Declaration>);
  void allow_new();

  /// Same keys and values; origins do not matter.
  friend bool operator==(const Node&, const Node&);

 private:
  Node& insert(std::string_view name, Node);

  std::string path_;
  std::vector<Node> children_;
  bool new_allowed_ = false;
  std::shared_ptr<const Declaration> declaration_;
  std::vector<Setting> history_;
  mutable bool read_ = false;
};

/// "A" and "B" joined as "A.B"; "" is the root.
std::string join_key(std::string_view group, std::string_view name);

}  // namespace trainer::config
