#include "lib/checkpoint/weights.h"

#include <algorithm>
#include <array>
#include <map>

#include "lib/base/log.h"
#include "lib/checkpoint/items.h"
#include "lib/io/safetensors.h"

namespace trainer::checkpoint {
namespace {

/// Older files may lack it, and nothing that we compute depends on it.
bool is_optional(const Item& item) { return item.name.ends_with("num_batches_tracked"); }

/// The wrapper's prefix that every name in the file carries, or "".
std::string common_prefix(const io::SafetensorsFile& file) {
  static constexpr std::array<std::string_view, 4> wrappers{"model.", "module.", "state_dict.", "_orig_mod."};
  std::string prefix;
  for (bool found = !file.tensors().empty(); found;) {
    found = false;
    for (const auto wrapper : wrappers) {
      const std::string longer = prefix + std::string(wrapper);
      if (std::ranges::all_of(file.tensors(), [&](const auto& t) { return t.name.starts_with(longer); })) {
        prefix = longer;
        found = true;
        break;
      }
    }
  }
  return prefix;
}

struct Comparison {
  std::vector<std::pair<Item, std::string>> fitting;  // with the name in the file
  std::vector<std::string> problems;
  std::vector<std::string> replaced;  // the classifier's tensors of another size
};

Comparison compare(nn::Module& model, const io::SafetensorsFile& file, const std::string& replaceable) {
  const std::string prefix = common_prefix(file);
  std::map<std::string, Shape> in_file;
  for (const auto& t : file.tensors()) in_file.emplace(t.name.substr(prefix.size()), t.shape);
  Comparison result;
  for (const Item& item : plain_items(model)) {
    const auto found = in_file.find(item.name);
    const Shape shape = item.file_shape();
    if (found == in_file.end()) {
      if (!is_optional(item)) result.problems.push_back(fmt::format("missing     {} {}", item.name, shape));
      continue;
    }
    if (found->second == shape) {
      result.fitting.emplace_back(item, prefix + item.name);
    } else if (!replaceable.empty() && item.name.starts_with(replaceable + ".")) {
      result.replaced.push_back(item.name);
    } else {
      result.problems.push_back(
          fmt::format("misshapen   {}: the file has {}, the model {}", item.name, found->second, shape));
    }
    in_file.erase(found);
  }
  for (const auto& [name, shape] : in_file) {
    result.problems.push_back(fmt::format("unexpected  {} {}", name, shape));
  }
  return result;
}

}  // namespace

void load_weights(nn::Model& model, const fs::path& path, const LoadOptions& options) {
  const io::SafetensorsFile file(path, Exit::weights);
  Comparison c = compare(model, file, options.replace_classifier ? model.classifier() : "");
  if (!c.problems.empty()) fail_misfits(path, "the model", c.problems);
  for (auto& [item, name] : c.fitting) item.assign(file.tensor(name));
  if (!c.replaced.empty()) {
    log::warn("{}: the classifier '{}' has another size there and keeps its initial values", path.string(),
              model.classifier());
  }
}

std::vector<std::string> mismatches(nn::Module& model, const fs::path& path) {
  return compare(model, io::SafetensorsFile(path, Exit::weights), "").problems;
}

}  // namespace trainer::checkpoint
