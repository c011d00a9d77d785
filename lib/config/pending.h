// Pending keys: Swin's keys (and a few of ours) that are known, but whose feature is not implemented yet.
#pragma once

#include "lib/config/config.h"

namespace trainer::config {

/// What the configuration is for. Keys of training (TRAIN, AUG) do not matter to an evaluation.
enum class Use { training, evaluation };

/// Throws one Error(Exit::usage) with all pending keys that have another value than the default, would change
/// the result, and apply in this configuration (MODEL.SWIN if MODEL.TYPE is swin or auto, AUG if AUG.ENABLE).
/// Returns a line for the log for each one that is set and changes no result. To be called once, after merging.
std::vector<std::string> check_pending(const Config&, Use = Use::training);
/// The same, but adds to `problems` what it would throw.
std::vector<std::string> check_pending(const Config&, Use, Problems& problems);

}  // namespace trainer::config
