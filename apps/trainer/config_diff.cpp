// trainer config diff: the keys in which two configurations differ, and who set them.
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "apps/trainer/command.h"

namespace trainer::app {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

struct Flags {
  std::string a, b;
  bool json = false;
};

/// A configuration file, or the config.yaml of a run directory, over the defaults.
config::Config read(const std::string& name) {
  fs::path path = name;
  if (fs::is_directory(path)) {
    path /= "config.yaml";
    check(Exit::usage, fs::exists(path),
          "{} is a folder without config.yaml: expected a file or a run directory", name);
  }
  return ConfigSource{.cfg = path.string(), .no_user_config = true}.merge();
}

struct Difference {
  std::string key;
  const config::Node *a, *b;  ///< nullptr: that side does not have the key (a user's own, below its group)
};

std::vector<Difference> differences(const config::Config& a, const config::Config& b) {
  std::vector<std::string> keys = a.keys();
  for (const std::string& key : b.keys()) {
    if (a.root().find(key) == nullptr) keys.push_back(key);
  }
  std::ranges::sort(keys);
  std::vector<Difference> found;
  const auto leaf = [](const config::Config& config, const std::string& key) {
    const config::Node* node = config.root().find(key);
    return node != nullptr && node->is_leaf() ? node : nullptr;
  };
  for (const std::string& key : keys) {
    const config::Node *x = leaf(a, key), *y = leaf(b, key);
    if (x != nullptr && y != nullptr && x->value() == y->value()) continue;
    found.push_back({key, x, y});
  }
  return found;
}

std::string text_of(const config::Node* leaf) {
  return leaf == nullptr ? "(not there)" : fmt::format("{} ({})", leaf->value().repr(), leaf->origin().str());
}

/// JSON has no infinities: those are Python's words, as in the table.
Json json_of(const config::Value& value) {
  if (const auto* v = value.get_if<bool>()) return *v;
  if (const auto* v = value.get_if<int64_t>()) return *v;
  if (const auto* v = value.get_if<double>()) return std::isfinite(*v) ? Json(*v) : Json(value.repr());
  if (const auto* v = value.get_if<std::string>()) return *v;
  const auto* items = value.get_if<config::Value::List>();
  if (items == nullptr) return nullptr;
  Json list = Json::array();
  for (const config::Value& item : *items) list.push_back(json_of(item));
  return list;
}

Json json_of(const config::Node* leaf) {
  if (leaf == nullptr) return nullptr;
  return {{"value", json_of(leaf->value())}, {"set_by", leaf->origin().str()}};
}

int diff(const Flags& flags) {
  const config::Config a = read(flags.a), b = read(flags.b);
  const std::vector<Difference> found = differences(a, b);
  if (flags.json) {
    Json j{{"a", flags.a}, {"b", flags.b}, {"differences", Json::array()}};
    for (const Difference& d : found)
      j["differences"].push_back({{"key", d.key}, {"a", json_of(d.a)}, {"b", json_of(d.b)}});
    std::puts(j.dump(2).c_str());
  } else {
    for (const Difference& d : found) fmt::print("{}: {} -> {}\n", d.key, text_of(d.a), text_of(d.b));
  }
  return found.empty() ? 0 : 1;
}

/// As diff(1): 1 says that they differ and nothing else, so whatever goes wrong here is 2, a bug of ours too.
int run(const Flags& flags) {
  try {
    return diff(flags);
  } catch (const std::exception& problem) {
    throw Error(Exit::usage, problem.what());
  }
}

}  // namespace

Command config_diff_command() {
  auto flags = std::make_shared<Flags>();
  Flag a = text("A", "FILE", "a configuration (YAML) or a run directory", flags->a);
  Flag b = text("B", "FILE", "the other one", flags->b);
  a.required = b.required = true;
  return {
      .name = "diff",
      .help = "the keys in which two configurations differ, and what set them",
      .examples =
          R"(Both are merged over the defaults, with the files under BASE. A line for each key that differs:
KEY: value of A (file:line:column or default) -> value of B (...).
Exit code, as of diff: 0 they are equal, 1 they differ, 2 anything went wrong.

Examples:
  trainer config diff configs/digits/cnn.yaml configs/digits/mlp.yaml
  trainer config diff output/cnn/default output/cnn/wide --json)",
      .flags = {std::move(a), std::move(b), toggle("--json", "for programs", flags->json)},
      .run = [flags] { return run(*flags); }};
}

}  // namespace trainer::app
