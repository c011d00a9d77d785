#include "lib/config/merge.h"

#include <fmt/core.h>

#include <algorithm>
#include <set>

#include "lib/base/text.h"

namespace trainer::config {
namespace {

constexpr std::string_view base_key = "BASE";

/// Base files are read before the file that names them; the tree itself only ever holds the default of BASE.
[[maybe_unused]] const bool declared = [] {
  declare(
      {.key = std::string(base_key),
       .type = {.kind = Kind::list, .element = Kind::string},
       .default_value = Value::List{""},
       .help =
           "files to start from, relative to the file that names them; only in files, and empty in a dump"});
  return true;
}();

std::vector<std::string> names(const Node& group) {
  std::vector<std::string> all;
  for (const Node& child : group.children()) all.emplace_back(child.name());
  return all;
}

std::string joined(const std::vector<std::string>& words, size_t most) {
  std::string text;
  for (size_t i = 0; i < std::min(words.size(), most); ++i) text += (i > 0 ? ", " : "") + words[i];
  return words.size() > most ? text + ", ..." : text;
}

bool is_below(std::string_view key, std::string_view group) {
  return key == group || (key.starts_with(group) && key[group.size()] == '.');
}

/// Whether a key below this one was renamed or deprecated.
bool was_group(std::string_view key) {
  const Declarations& known = declarations();
  const auto is_inside = [key](const std::string& old_key) {
    return old_key != key && is_below(old_key, key);
  };
  return std::any_of(known.renamed.begin(), known.renamed.end(),
                     [&](const auto& entry) { return is_inside(entry.first); }) ||
         std::any_of(known.deprecated.begin(), known.deprecated.end(), is_inside);
}

}  // namespace

void Merger::opts(std::span<const std::string> words) {
  int pair = 0;
  for (size_t i = 0; i < words.size(); ++i) {
    const Origin origin{Origin::Layer::opts, fmt::format("--opts pair {}", ++pair)};
    const std::string_view word = words[i];
    if (const size_t equals = word.find('='); equals != word.npos) {
      text(word.substr(0, equals), word.substr(equals + 1), origin);
    } else if (i + 1 < words.size()) {
      text(word, words[++i], origin);
    } else {
      problems_.add(origin, word, "has no value; expected KEY VALUE pairs");
    }
  }
}

void Merger::text(std::string_view key, std::string_view value, const Origin& origin) {
  const RawValue raw{.form = RawValue::Form::text, .text = std::string(value)};
  const auto decoded = decode(raw);
  const bool nothing =
      !decoded || decoded->is_none() || *decoded == Value("") || *decoded == Value(Value::List{""});
  if (key != base_key) {
    assign(std::string(key), raw, origin);
  } else if (!nothing) {
    problems_.add(origin, key, "can only be set in files");
  }
}

void Merger::value(std::string_view key, const Value& value, const Origin& origin) {
  Node* node = root_.find(key);
  if (!node) return unknown(std::string(key), origin);
  if (!node->is_leaf())
    return problems_.add(origin, key, fmt::format("is a group of keys, given {}", describe(value)));
  set(*node, coerce(value, node->declaration().type), value, describe(value), origin);
}

void Merger::map(std::string_view group, const RawValue& map, std::string_view file, Origin::Layer layer) {
  for (const RawValue::Entry& entry : map.entries) {
    const Origin origin{layer, fmt::format("{}:{}:{}", file, entry.mark.line, entry.mark.column)};
    if (group.empty() && entry.key == base_key) {
      if (layer == Origin::Layer::user_file) not_for_users(std::string(base_key), origin);
      continue;
    }
    const std::string key = join_key(group, entry.key);
    const Node* node = entry.key.find('.') == entry.key.npos ? root_.find(key) : nullptr;
    if (outdated(key, origin)) continue;
    if (entry.key.find('.') != entry.key.npos) {
      const bool known = root_.find(key) != nullptr;
      if (known) {
        problems_.add(origin, key, "dotted keys are for --opts; a file nests them");
      } else {
        unknown(key, origin);
      }
    } else if (entry.value->form == RawValue::Form::map && (!node || !node->is_leaf())) {
      const Node* parent = root_.find(group);
      const bool may_add = parent && parent->new_allowed() && layer != Origin::Layer::user_file;
      if (!node && !may_add && !was_group(key)) {
        unknown(key, origin);
        continue;
      }
      if (!node && may_add) root_.find(group)->add_group(entry.key);
      this->map(key, *entry.value, file, layer);
    } else {
      assign(key, *entry.value, origin);
    }
  }
}

void Merger::assign(const std::string& key, const RawValue& raw, const Origin& origin) {
  if (outdated(key, origin)) return;
  Node* node = root_.find(key);
  const bool users = origin.layer == Origin::Layer::user_file;
  if (!node && users) return unknown(key, origin);
  if (!node || key.empty()) return add_new(key, raw, origin);
  if (node->is_leaf() && users && !node->declaration().user_default) return not_for_users(key, origin);
  if (node->is_leaf()) return assign_leaf(*node, raw, origin);
  problems_.add(origin, key,
                fmt::format("is a group of keys ({}), given {}", joined(names(*node), 8), describe(raw)));
}

void Merger::assign_leaf(Node& leaf, const RawValue& raw, const Origin& origin) {
  const Declaration& declared_as = leaf.declaration();
  set(leaf, decode(raw, declared_as.type, declared_as.range), decode(raw), describe(raw), origin);
}

void Merger::set(Node& leaf, const std::optional<Value>& typed, const std::optional<Value>& untyped,
                 const std::string& given, const Origin& origin) {
  // yacs compares with the current value, not with the default: a None may be replaced by anything. Binding
  // is stricter.
  const auto accepted_by_yacs = [&] {
    return untyped && (leaf.value().is_none() || leaf.value().kind() == untyped->kind());
  };
  if (typed) {
    leaf.set(*typed, origin);
  } else if (!leaf.declaration().type.or_auto && accepted_by_yacs()) {
    leaf.set(*untyped, origin);
  } else {
    problems_.add(origin, leaf.path(),
                  fmt::format("expected {}, given {}", leaf.declaration().type.name(), given));
  }
}

void Merger::add_new(const std::string& key, const RawValue& raw, const Origin& origin) {
  if (!is_key(key)) return problems_.add(origin, "", fmt::format("'{}' is not a key", key));
  // The deepest group that exists decides whether keys may be added below it.
  Node* group = &root_;
  std::string_view rest = key;
  for (size_t dot = rest.find('.'); dot != rest.npos; dot = rest.find('.')) {
    Node* next = group->find(rest.substr(0, dot));
    if (!next) break;
    group = next;
    rest.remove_prefix(dot + 1);
  }
  const auto value = decode(raw);
  if (group->is_leaf() || !group->new_allowed()) return unknown(key, origin);
  if (!value) return problems_.add(origin, key, fmt::format("expected a value, given {}", describe(raw)));
  for (size_t dot = rest.find('.'); dot != rest.npos; dot = rest.find('.')) {
    group = &group->add_group(rest.substr(0, dot));
    rest.remove_prefix(dot + 1);
  }
  Declaration added{.key = key,
                    .type = type_of(*value),
                    .default_value = Value(),
                    .help = "not declared; added by the user"};
  added.type.element = Kind::none;
  group->add_leaf(rest, std::make_shared<const Declaration>(std::move(added)));
  group->find(rest)->set(*value, origin);
}

void Merger::not_for_users(const std::string& key, const Origin& origin) {
  std::vector<std::string> allowed;
  for (const Node* leaf : root_.leaves()) {
    if (leaf->declaration().user_default) allowed.push_back(leaf->path());
  }
  problems_.add(
      origin, key,
      fmt::format(
          "results may depend on it, and a file for all of your runs must not change them; set it with "
          "--cfg or --opts (this file may set {})",
          joined(allowed, allowed.size())));
}

bool Merger::outdated(const std::string& key, const Origin& origin) {
  if (root_.find(key)) return false;
  for (const auto& [old_key, now] : declarations().renamed) {
    if (!is_below(key, old_key)) continue;
    const std::string note = now.note.empty() ? "" : ": " + now.note;
    problems_.add(origin, old_key, fmt::format("was renamed to {}{}", now.key, note));
    return true;
  }
  for (const std::string& old_key : declarations().deprecated) {
    if (!is_below(key, old_key)) continue;
    std::string notice = fmt::format("{}: {}: deprecated key, ignored", origin.str(), old_key);
    if (std::find(notices_.begin(), notices_.end(), notice) == notices_.end())
      notices_.push_back(std::move(notice));
    return true;
  }
  return false;
}

void Merger::unknown(const std::string& key, const Origin& origin) {
  std::string_view parent = key;
  for (size_t dot = parent.rfind('.'); dot != parent.npos; dot = parent.rfind('.')) {
    parent = parent.substr(0, dot);
    if (const Node* node = root_.find(parent); node && node->is_leaf()) {
      return problems_.add(origin, key, fmt::format("unknown key: {} is a value, not a group", parent));
    }
  }
  if (problems_.is_full()) return problems_.add(origin, key, "unknown key");
  const auto [suggestion, fresh] = suggestions_.try_emplace(key);
  if (!fresh) return problems_.add(origin, key, "unknown key" + suggestion->second);
  std::set<std::string> known;
  for (const Node* leaf : root_.leaves()) {
    // Its groups too: they are mistyped as well.
    for (std::string_view path = leaf->path(); known.emplace(path).second;) {
      const size_t dot = path.rfind('.');
      if (dot == path.npos) break;
      path = path.substr(0, dot);
    }
  }
  const std::vector<std::string> candidates(known.begin(), known.end());
  suggestion->second = did_you_mean(key, candidates);
  problems_.add(origin, key, "unknown key" + suggestion->second);
}

}  // namespace trainer::config
