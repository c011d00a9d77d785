#include "lib/config/config.h"

#include "lib/base/text.h"
#include "lib/config/dump.h"
#include "lib/config/merge.h"
#include "lib/config/problems.h"

namespace trainer::config {
namespace {

Node& group_for(Node& root, std::string_view path) {
  Node* group = &root;
  while (!path.empty()) {
    const size_t dot = path.find('.');
    group = &group->add_group(path.substr(0, dot));
    path = dot == path.npos ? std::string_view() : path.substr(dot + 1);
  }
  return *group;
}

}  // namespace

Config Config::defaults() {
  Config config;
  const Declarations& known = declarations();
  for (const auto& [key, declaration] : known.keys) {
    const size_t dot = key.rfind('.');
    Node& group = group_for(config.root_, dot == key.npos ? "" : std::string_view(key).substr(0, dot));
    group.add_leaf(std::string_view(key).substr(dot + 1), std::make_shared<const Declaration>(declaration));
  }
  for (const std::string& group : known.new_allowed) group_for(config.root_, group).allow_new();
  return config;
}

void Config::merge(const Sources& sources) {
  Config merged = *this;
  Problems problems;
  merged.merge(sources, problems);
  if (problems.count() > 0) merged.check_values(problems);
  problems.raise();
  *this = std::move(merged);
}

void Config::merge(const Sources& sources, Problems& problems) {
  check(!frozen_, "the configuration is frozen");
  Merger merger(root_, problems, notices_);
  if (sources.user_file) merger.user_file(*sources.user_file);
  if (sources.file) merger.file(*sources.file);
  merger.opts(sources.opts);
  for (const Flag& flag : sources.flags) merger.text(flag.key, flag.value, {Origin::Layer::flag, flag.name});
}

void Config::check_values(Problems& problems) const {
  for (const Node* leaf : root_.leaves()) {
    if (leaf->history().size() == 1 || leaf->declaration().unsupported) continue;
    const std::string what = detail::value_problem(leaf->value(), leaf->declaration());
    if (!what.empty()) problems.add(leaf->origin(), leaf->path(), what);
  }
}

void Config::set(std::string_view key, const Value& value, Origin origin) {
  check(!frozen_, "the configuration is frozen");
  Problems problems;
  Merger(root_, problems, notices_).value(key, value, origin);
  problems.raise();
}

std::string Config::dump() const { return dump_yaml(root_); }

std::vector<std::string> Config::keys() const {
  std::vector<std::string> all;
  for (const Node* leaf : root_.leaves()) all.push_back(leaf->path());
  return all;
}

Explanation Config::explanation(std::string_view key) const {
  const Node* leaf = root_.find(key);
  if (!leaf || !leaf->is_leaf()) fail(Exit::usage, "unknown key {}{}", key, did_you_mean(key, keys()));
  const Declaration& declared = leaf->declaration();
  return {.key = leaf->path(),
          .type = declared.type.name(),
          .help = declared.help,
          .range = declared.range.describe(),
          .unit = std::string(declared.range.unit),
          .choices = declared.choices,
          .unsupported = declared.unsupported,
          .user_default = declared.user_default,
          .default_value = declared.default_value,
          .history = leaf->history()};
}

std::vector<std::string> Config::unread() const {
  std::vector<std::string> all;
  for (const Node* leaf : root_.leaves()) {
    const bool of_this_run = leaf->origin().layer != Origin::Layer::user_file;
    if (of_this_run && !leaf->was_read() && !(leaf->value() == leaf->declaration().default_value))
      all.push_back(leaf->path());
  }
  return all;
}

}  // namespace trainer::config
