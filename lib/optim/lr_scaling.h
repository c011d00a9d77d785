// How the learning rate follows the size of the batch.
#pragma once

#include <cmath>
#include <cstdint>
#include <string_view>

#include "lib/base/error.h"

namespace trainer::optim {

enum class LrScaling : uint8_t {
  none,
  linear,  ///< Goyal et al., 2017, and Swin
  sqrt,    ///< Krizhevsky, 2014
};

/// A value of TRAIN.LR_SCALING.
inline LrScaling parse_lr_scaling(std::string_view name) {
  if (name == "linear") return LrScaling::linear;
  if (name == "sqrt") return LrScaling::sqrt;
  check(Exit::usage, name == "none", "TRAIN.LR_SCALING '{}' is none of linear, sqrt, none", name);
  return LrScaling::none;
}

/// What BASE_LR, WARMUP_LR and MIN_LR are multiplied by. `samples`: of one optimizer update, over ranks and
/// accumulated micro-batches; `reference`: TRAIN.LR_REFERENCE_BATCH.
inline double lr_scale(LrScaling scaling, int64_t samples, int64_t reference) {
  check(Exit::usage, reference > 0, "TRAIN.LR_REFERENCE_BATCH is {}, expected a positive number", reference);
  const double ratio = static_cast<double>(samples) / static_cast<double>(reference);
  switch (scaling) {
    case LrScaling::none:
      return 1;
    case LrScaling::linear:
      return ratio;
    case LrScaling::sqrt:
      return std::sqrt(ratio);
  }
  fail(Exit::internal, "lr_scale: no such scaling");
}

}  // namespace trainer::optim
