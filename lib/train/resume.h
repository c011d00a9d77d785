// Where a run begins: anew, or from a checkpoint.
#pragma once

#include <string>

#include "lib/train/build.h"
#include "lib/train/run_directory.h"

namespace trainer::train {

/// The step directory that a run goes on from; "" for a new run. By MODEL.RESUME and TRAIN.AUTO_RESUME, which
/// --resume sets; a run that its launcher has `restarted` always goes on. Broken checkpoints are skipped with
/// a warning, leftovers of killed processes are removed. Throws Error(Exit::usage) where beginning there
/// would lose something, Error(Exit::weights) where there is no such checkpoint.
std::string choose_checkpoint(const RunDirectory&, const Settings&, bool restarted);

/// What --eval evaluates: MODEL.RESUME; else, unless MODEL.PRETRAINED names weights or TRAIN.AUTO_RESUME is
/// off, the newest intact checkpoint of the run directory; "" if there is none.
std::string checkpoint_to_evaluate(const Settings&);

}  // namespace trainer::train
