// Merger's files: inheritance through BASE.
#include <fmt/core.h>

#include <algorithm>

#include "lib/config/merge.h"

namespace trainer::config {
namespace fs = std::filesystem;

namespace {

/// The same name for the same file, however it is reached.
fs::path identity(const fs::path& path) {
  std::error_code failed;
  const fs::path canonical = fs::weakly_canonical(path, failed);
  return failed ? path : canonical;
}

std::string chain(const std::vector<fs::path>& files, const fs::path& last) {
  std::string text;
  for (const fs::path& file : files) text += file.filename().string() + " -> ";
  return text + last.filename().string();
}

}  // namespace

void Merger::user_file(const fs::path& path) {
  problems_.begin(Origin::Layer::user_file);
  if (const auto root = read_yaml_file(path, budget_, problems_))
    map("", *root, path.string(), Origin::Layer::user_file);
}

void Merger::file(const fs::path& path) {
  std::vector<fs::path> including;
  file(path, Origin::Layer::file, including);
}

void Merger::file(const fs::path& path, Origin::Layer layer, std::vector<fs::path>& including) {
  problems_.begin(layer);
  const auto root = read_yaml_file(path, budget_, problems_);
  if (!root) return;
  including.push_back(identity(path));
  for (const RawValue::Entry& entry : root->entries) {
    if (entry.key != "BASE") continue;
    const Origin origin{layer, fmt::format("{}:{}:{}", path.string(), entry.mark.line, entry.mark.column)};
    bases(*entry.value, origin, path, including);
  }
  including.pop_back();
  map("", *root, path.string(), layer);
}

void Merger::bases(const RawValue& base, const Origin& where, const fs::path& file,
                   std::vector<fs::path>& including) {
  Value value = decode(base, {.kind = Kind::list, .element = Kind::string}, {})
                    .value_or(decode(base).value_or(Value()));
  if (value.kind() == Kind::string) value = Value(Value::List{value});
  const auto* items = value.get_if<Value::List>();
  if (!items && !decode(base))
    problems_.add(where, "BASE", fmt::format("expected files, given {}", describe(base)));
  if (!items) return;
  for (const Value& item : *items) {
    const auto* name = item.get_if<std::string>();
    if (!name) {
      problems_.add(where, "BASE", fmt::format("expected files, given {}", describe(value)));
      return;
    }
    if (name->empty()) continue;  // Swin's default is ['']
    const fs::path path = (file.parent_path() / *name).lexically_normal();
    std::error_code ignored;
    if (std::find(including.begin(), including.end(), identity(path)) != including.end()) {
      problems_.add(where, "BASE", "the files inherit from each other: " + chain(including, path));
    } else if (!fs::exists(path, ignored)) {
      problems_.add(where, "BASE", fmt::format("{} does not exist", path.string()));
    } else if (fs::is_directory(path, ignored)) {
      problems_.add(where, "BASE", fmt::format("{} is a directory, not a file", path.string()));
    } else {
      this->file(path, Origin::Layer::base_file, including);
    }
  }
}

}  // namespace trainer::config
