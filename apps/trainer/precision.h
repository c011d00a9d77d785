// What a run says of its precision.
#pragma once

#include "apps/trainer/process.h"
#include "lib/nn/precision.h"

namespace trainer::app {

/// Logs what a model with this precision computes in, if it is mixed, and whether that is slow on this CPU. A warning
/// by rank 0 where keys ask for 16 bits and it is f32 all the same: which key decides, and what to set. To be called
/// once, when log files are there.
void report_precision(const config::Config&, const train::Settings&, const Process&, const nn::Precision&);

}  // namespace trainer::app
