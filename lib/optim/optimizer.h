// Optimizer: turns the gradients of a step into an update of the parameters. One file each: sgd.cpp,
// adamw.cpp, lamb.cpp.
//
//   const auto optimizer = optimizers().make("adamw", config.group("TRAIN.OPTIMIZER"), parameters);
#pragma once

#include <functional>
#include <string_view>

#include "lib/optim/parameters.h"
#include "lib/registry/registry.h"

namespace trainer::optim {

class Optimizer {
 public:
  virtual ~Optimizer() = default;

  /// One update of parameters.segments() and of their copies(), in few kernels over the whole arena: never
  /// one per parameter. The gradients are used up: their memory may serve as scratch. `control` (ops::Control, f64 [3], on the
  /// parameters' device) holds the learning rate, the gradients' multiplier and the number of this update.
  virtual void step(const Tensor& control) = 0;

  /// State that a checkpoint keeps: arenas of the parameters' layout (Parameters::part cuts them up), by
  /// PyTorch's names.
  using StateVisitor = std::function<void(std::string_view name, Tensor& arena)>;
  virtual void visit(const StateVisitor&) = 0;
};

/// By TRAIN.OPTIMIZER.NAME; keys in TRAIN.OPTIMIZER. The parameters have to outlive the optimizer.
using Optimizers = Registry<Optimizer, Parameters&>;
Optimizers& optimizers();

}  // namespace trainer::optim
