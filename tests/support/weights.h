// A model's weights as files hold them, without a run around it.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "lib/checkpoint/items.h"
#include "lib/checkpoint/weights.h"

namespace trainer::checkpoint {

using StateDict = std::vector<std::pair<std::string, Tensor>>;

/// Parameters and buffers of a model on the host, in the layout of files; adapters are merged.
inline StateDict state_dict(nn::Module& model) {
  StateDict dict;
  for (const Item& item : exported_items(model)) dict.emplace_back(item.name, item.to_file());
  return dict;
}

/// model.safetensors of a checkpoint, as a file of its own.
inline void save_weights(nn::Module& model, const fs::path& path) {
  AtomicFile file(path, Exit::weights);
  write_items(exported_items(model), path, [&](std::span<const std::byte> bytes) { file.write(bytes); });
  file.commit();
}

}  // namespace trainer::checkpoint
