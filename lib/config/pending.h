// Pending keys: Swin's keys (and a few of ours) that are known, but whose feature is not implemented yet.
#pragma once

#include "lib/config/config.h"

namespace trainer::config {

/// Throws one Error(Exit::usage) with all pending keys that have another value than the default, would change
/// the result, and apply in this configuration (MODEL.SWIN if MODEL.TYPE is swin, AUG if AUG.ENABLE). To be
/// called once, after merging.
void check_pending(const Config&);

}  // namespace trainer::config
