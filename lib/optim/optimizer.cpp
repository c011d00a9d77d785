#include "lib/optim/optimizer.h"

namespace trainer::optim {

Optimizers& optimizers() {
  static Optimizers all("optimizer", "TRAIN.OPTIMIZER");
  return all;
}

}  // namespace trainer::optim
