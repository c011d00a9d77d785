// How the learning rate follows the size of the batch.
#pragma once

#include <cmath>
#include <cstdint>
#include <string_view>

#include "lib/base/error.h"

namespace trainer::optim {

/// What BASE_LR, WARMUP_LR and MIN_LR are multiplied by. `scaling` is TRAIN.LR_SCALING: linear (Goyal et al.,
/// 2017, and Swin), sqrt (Krizhevsky, 2014) or none; `samples` are those of one optimizer update, over ranks
/// and accumulated micro-batches; `reference` is TRAIN.LR_REFERENCE_BATCH. Throws Error(Exit::usage).
inline double lr_scale(std::string_view scaling, int64_t samples, int64_t reference) {
  check(Exit::usage, reference > 0, "TRAIN.LR_REFERENCE_BATCH is {}, expected a positive number", reference);
  const double ratio = static_cast<double>(samples) / static_cast<double>(reference);
  if (scaling == "linear") return ratio;
  if (scaling == "sqrt") return std::sqrt(ratio);
  check(Exit::usage, scaling == "none", "TRAIN.LR_SCALING '{}' is none of linear, sqrt, none", scaling);
  return 1;
}

}  // namespace trainer::optim
