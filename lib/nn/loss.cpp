#include "lib/nn/loss.h"

namespace trainer::nn {

Registry<Loss>& losses() {
  static Registry<Loss> registry("loss", "MODEL");
  return registry;
}

}  // namespace trainer::nn
