// What a run that has diverged says of its cause. Nothing here runs in a step that goes well.
#pragma once

#include <string>

#include "lib/comm/comm.h"
#include "lib/data/loader.h"
#include "lib/train/hook.h"

namespace trainer::train {

/// Where a step's samples lie: positions [begin, end) of the epoch's order, those of all ranks.
struct StepSamples {
  int64_t epoch = 0, begin = 0, end = 0;
};

/// The first sample of a step whose input or target is not finite, of the first rank that has one: "the input of row 3
/// of the batch (data/train.safetensors: sample 17) is nan". "" if all are finite. Reads the samples again, for which
/// the loader is started anew. A collective: all ranks call it, and all get the same.
std::string broken_sample(data::Loader&, comm::Comm&, const StepSamples&);

/// Everything of a run that has diverged.
struct Divergence {
  const StepReport& report;  ///< the last step
  int64_t in_a_row;          ///< steps in a row that were not finite; with a scaled loss, at the least scale
  bool scales_loss;
  std::string broken;  ///< broken_sample()
};

/// The message for it: what was not finite, how often, and what may help.
std::string text_of(const Divergence&);

}  // namespace trainer::train
