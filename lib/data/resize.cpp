#include "lib/data/resize.h"

#include <algorithm>

#include "lib/base/error.h"

namespace trainer::data {

BilinearResize::BilinearResize(int64_t from, int64_t to) : from_(from) {
  check(from > 0 && to > 0, "resize from {} to {}", from, to);
  const float scale = static_cast<float>(from) / static_cast<float>(to);
  for (int64_t i = 0; i < to; ++i) {
    // Pixels are areas: centre maps to centre, and what lies before the first centre repeats it.
    const float at = std::max(0.0F, scale * (static_cast<float>(i) + 0.5F) - 0.5F);
    const int64_t low = std::min(static_cast<int64_t>(at), from - 1);
    taps_.push_back({low, std::min(low + 1, from - 1), at - static_cast<float>(low)});
  }
}

void BilinearResize::operator()(std::span<const float> in, std::span<float> out, int64_t channels) const {
  const auto size = static_cast<int64_t>(taps_.size());
  check(std::ssize(in) == from_ * from_ * channels && std::ssize(out) == size * size * channels,
        "resize: {} and {} values for images of {} and {} pixels a side", in.size(), out.size(), from_, size);
  float* to = out.data();
  for (const Tap& y : taps_) {
    const float* top = in.data() + y.low * from_ * channels;
    const float* bottom = in.data() + y.high * from_ * channels;
    for (const Tap& x : taps_) {
      for (int64_t c = 0; c < channels; ++c) {
        const int64_t left = x.low * channels + c, right = x.high * channels + c;
        const float upper = (1 - x.weight) * top[left] + x.weight * top[right];
        const float lower = (1 - x.weight) * bottom[left] + x.weight * bottom[right];
        *to++ = (1 - y.weight) * upper + y.weight * lower;
      }
    }
  }
}

}  // namespace trainer::data
