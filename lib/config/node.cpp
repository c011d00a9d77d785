#include "lib/config/node.h"

#include <algorithm>
#include <atomic>

#include "lib/base/error.h"

namespace trainer::config {
namespace {

/// Where the child of that name is, or would be inserted: children are sorted.
auto find_place(std::vector<Node>& children, std::string_view name) {
  return std::lower_bound(children.begin(), children.end(), name,
                          [](const Node& child, std::string_view n) { return child.name() < n; });
}

}  // namespace

std::string join_key(std::string_view group, std::string_view name) {
  return group.empty() ? std::string(name) : fmt::format("{}.{}", group, name);
}

std::string Origin::str() const {
  if (!where.empty()) return where;
  return layer == Layer::defaults ? "default" : "code";
}

Node::Node(std::shared_ptr<const Declaration> declaration) : declaration_(std::move(declaration)) {
  history_.push_back({declaration_->default_value, {}});
}

std::string_view Node::name() const {
  const std::string_view path = path_;
  return path.substr(path.rfind('.') + 1);
}

Node* Node::find(std::string_view key) {
  if (key.empty()) return this;
  const size_t dot = key.find('.');
  const std::string_view first = key.substr(0, dot);
  const auto child = find_place(children_, first);
  if (child == children_.end() || child->name() != first) return nullptr;
  if (dot == key.npos) return &*child;
  return dot + 1 == key.size() ? nullptr : child->find(key.substr(dot + 1));
}

const Node* Node::find(std::string_view key) const { return const_cast<Node*>(this)->find(key); }

const Node& Node::at(std::string_view key) const {
  const Node* node = find(key);
  check(node != nullptr, "no component declared the configuration key {}", join_key(path_, key));
  return *node;
}

std::vector<const Node*> Node::leaves() const {
  if (is_leaf()) return {this};
  std::vector<const Node*> all;
  for (const Node& child : children_) {
    for (const Node* leaf : child.leaves()) all.push_back(leaf);
  }
  return all;
}

const std::vector<Node::Setting>& Node::history() const {
  check(is_leaf(), "{} is a group of configuration keys, not a value", path_);
  return history_;
}

const Declaration& Node::declaration() const {
  check(is_leaf(), "{} is a group of configuration keys, not a value", path_);
  return *declaration_;
}

const Value& Node::read() const {
  const Value& current = value();
  std::atomic_ref(read_).store(true, std::memory_order_relaxed);  // several threads may read
  return current;
}

void Node::set(Value value, Origin origin) {
  check(is_leaf(), "{} is a group of configuration keys, not a value", path_);
  history_.push_back({std::move(value), std::move(origin)});
}

Node& Node::insert(std::string_view name, Node node) {
  check(!is_leaf(), "{} is a leaf and cannot hold {}", path_, name);
  node.path_ = join_key(path_, name);
  return *children_.insert(find_place(children_, name), std::move(node));
}

Node& Node::add_group(std::string_view name) {
  if (Node* existing = find(name)) return *existing;
  Node group;
  group.new_allowed_ = new_allowed_;
  return insert(name, std::move(group));
}

void Node::add_leaf(std::string_view name, std::shared_ptr<const Declaration> declaration) {
  insert(name, Node(std::move(declaration)));
}

void Node::allow_new() {
  new_allowed_ = true;
  for (Node& child : children_) child.allow_new();
}

bool operator==(const Node& a, const Node& b) {
  if (a.path_ != b.path_ || a.is_leaf() != b.is_leaf()) return false;
  return a.is_leaf() ? a.value() == b.value() : a.children_ == b.children_;
}

}  // namespace trainer::config
