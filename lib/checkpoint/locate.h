// What a user may name where a checkpoint is meant.
#pragma once

#include "lib/base/file.h"

namespace trainer::checkpoint {

/// The step directory that `named` stands for: itself, where a pointer file (checkpoints/best) points, or the
/// newest intact one of a `checkpoints` folder or a run directory. Throws Error(Exit::weights) if there is
/// none, or if what is named is not intact: every byte is compared with its manifest.
fs::path find_step(const fs::path& named);

/// The weights that `named` stands for: a file as it is, or model.safetensors of find_step(named).
fs::path find_weights(const fs::path& named);

}  // namespace trainer::checkpoint
