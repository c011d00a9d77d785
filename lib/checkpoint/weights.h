// Weights files into models: safetensors with timm's names and the ecosystem's layout (OIHW). What writes
// them is lib/checkpoint/step_directory.h.
#pragma once

#include <string>
#include <vector>

#include "lib/base/file.h"
#include "lib/nn/model.h"

namespace trainer::checkpoint {

struct LoadOptions {
  /// A classifier of another size keeps its initial values, with a warning; otherwise that is an error like
  /// any other.
  bool replace_classifier = false;
};

/// Reads a safetensors file into the model, whose adapters stay as they are. Prefixes that wrappers add
/// ("model.", "module.", "state_dict.") are dropped when all names carry one. Missing, unexpected and
/// misshapen tensors are reported together in one Error(Exit::weights); then nothing has been loaded.
/// Floating dtypes convert; batch norm's num_batches_tracked may be missing.
void load_weights(nn::Model& model, const fs::path& file, const LoadOptions& = {});

/// What load_weights would report: one line per tensor that does not fit, none if all do.
std::vector<std::string> mismatches(nn::Module& model, const fs::path& file);

}  // namespace trainer::checkpoint
