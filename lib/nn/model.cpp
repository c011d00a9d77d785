#include "lib/nn/model.h"

namespace trainer::nn {

int64_t image_channels(const Shape& sample, std::string_view model) {
  check(Exit::usage, sample.rank() == 3, "{} needs images [H, W, C], the data has samples of shape {}", model,
        sample);
  return sample.back();
}

Registry<Model, const Shape&>& models() {
  static Registry<Model, const Shape&> registry("model", "MODEL");
  return registry;
}

}  // namespace trainer::nn
