// The layers of a model as one forward pass meets them: for tables (dry runs, listings).
#pragma once

#include "lib/nn/model.h"

namespace trainer::nn {

struct LayerCall {
  std::string path, description;
  Shape output;
  int64_t parameters = 0;  ///< of the layer itself
  int64_t macs = 0;        ///< multiply-accumulates of this call
};

/// Runs the model on zeros [batch, sample...] in evaluation mode and lists the calls of modules that hold
/// parameters themselves.
std::vector<LayerCall> trace(Model&, const Shape& sample, int64_t batch, Device);

}  // namespace trainer::nn
