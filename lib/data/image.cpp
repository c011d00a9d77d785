#include "lib/data/image.h"

#include <algorithm>

namespace trainer::data {

void Image::copy_to(std::span<float> out) const {
  check(std::ssize(out) == shape_.numel(), "an image of {} for {} values", shape_, out.size());
  if (dtype_ == DType::u8) {
    std::ranges::transform(pixels<uint8_t>(), out.begin(), [](uint8_t v) { return unit_interval[v]; });
  } else {
    std::ranges::copy(pixels<float>(), out.begin());
  }
}

}  // namespace trainer::data
