#include "lib/nn/model.h"

namespace trainer::nn {

Registry<Model, const Shape&>& models() {
  static Registry<Model, const Shape&> registry("model", "MODEL");
  return registry;
}

}  // namespace trainer::nn
