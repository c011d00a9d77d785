// Swin's keys (and a few of ours) whose feature is not built yet.
#pragma once

#include "lib/config/config.h"

namespace trainer::config {

/// Refuses what would silently do nothing: a pending key whose value is not the default, would change the
/// result, and matters in this configuration (MODEL.SWIN only while MODEL.TYPE is swin, AUG only while
/// AUG.ENABLE). Throws one Error(Exit::usage) with all of them. To be called once, after merging.
void check_pending(const Config&);

}  // namespace trainer::config
