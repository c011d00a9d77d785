#include "lib/nn/adapter.h"

#include <fmt/ranges.h>

#include <algorithm>

#include "lib/nn/layers.h"
#include "lib/nn/model.h"

namespace trainer::nn {

Registry<AdapterMethod>& adapters() {
  static Registry<AdapterMethod> registry("adapter", "MODEL");
  return registry;
}

void apply_adapters(Model& model, const config::Node& group) {
  for (const std::string& name : adapters().names()) adapters().make(name, group)->apply(model);
}

void add_adapters(Model& model, std::string_view key, const std::vector<std::string>& targets,
                  const std::function<std::unique_ptr<Adapter>(const Linear&)>& make) {
  struct Find final : Visitor {
    void module(const std::string& path, Module& m) override {
      if (auto* layer = dynamic_cast<Linear*>(&m); layer != nullptr && path != classifier)
        layers.push_back({path, layer});
    }
    std::string classifier;
    std::vector<Named<Linear>> layers;
  } found;
  found.classifier = model.classifier();
  walk(model, found);

  std::vector<std::string> paths;
  for (const auto& layer : found.layers) paths.push_back(layer.name);
  check(Exit::usage, !paths.empty(), "{}: the model has no linear layer beside its classifier '{}'", key,
        found.classifier);
  for (const std::string& pattern : targets) {
    check(Exit::usage,
          std::ranges::any_of(paths, [&](const auto& path) { return has_components(path, pattern); }),
          "{}: no linear layer beside the classifier is named '{}'; there are {}", key, pattern,
          fmt::join(paths, ", "));
  }
  const auto is_target = [&](std::string_view path) {
    return targets.empty() ||
           std::ranges::any_of(targets, [&](const auto& pattern) { return has_components(path, pattern); });
  };
  for (const auto& [path, layer] : found.layers) {
    if (is_target(path)) layer->add_adapter(make(*layer));
  }
  for (const auto& [name, p] : parameters(model)) {
    p->frozen = p->frozen || !(p->internal || name.starts_with(found.classifier + "."));
  }
}

}  // namespace trainer::nn
