#include "lib/data/resize.h"

#include <algorithm>

#include "lib/base/error.h"
#include "lib/data/image.h"

namespace trainer::data {

BilinearResize::BilinearResize(int64_t from_height, int64_t from_width, int64_t to_height, int64_t to_width)
    : from_height_(from_height),
      from_width_(from_width),
      rows_(taps(from_height, to_height)),
      columns_(taps(from_width, to_width)) {}

std::vector<BilinearResize::Tap> BilinearResize::taps(int64_t from, int64_t to) {
  check(from > 0 && to > 0, "resize from {} to {}", from, to);
  std::vector<Tap> all;
  all.reserve(static_cast<size_t>(to));
  const float scale = static_cast<float>(from) / static_cast<float>(to);
  for (int64_t i = 0; i < to; ++i) {
    // Pixels are areas: centre maps to centre, and what lies before the first centre repeats it.
    const float at = std::max(0.0F, scale * (static_cast<float>(i) + 0.5F) - 0.5F);
    const int64_t low = std::min(static_cast<int64_t>(at), from - 1);
    all.push_back({low, std::min(low + 1, from - 1), at - static_cast<float>(low)});
  }
  return all;
}

template <class T, class Value>
void BilinearResize::run(std::span<const T> in, std::span<float> out, int64_t channels,
                         const Value& value) const {
  const int64_t height = std::ssize(rows_), width = std::ssize(columns_);
  check(
      std::ssize(in) == from_height_ * from_width_ * channels && std::ssize(out) == height * width * channels,
      "resize: {} and {} values for images of {} x {} and {} x {} pixels", in.size(), out.size(),
      from_height_, from_width_, height, width);
  float* to = out.data();
  for (const Tap& y : rows_) {
    const T* top = in.data() + y.low * from_width_ * channels;
    const T* bottom = in.data() + y.high * from_width_ * channels;
    for (const Tap& x : columns_) {
      for (int64_t c = 0; c < channels; ++c) {
        const int64_t left = x.low * channels + c, right = x.high * channels + c;
        const float upper = (1 - x.weight) * value(top[left]) + x.weight * value(top[right]);
        const float lower = (1 - x.weight) * value(bottom[left]) + x.weight * value(bottom[right]);
        *to++ = (1 - y.weight) * upper + y.weight * lower;
      }
    }
  }
}

void BilinearResize::operator()(std::span<const float> in, std::span<float> out, int64_t channels) const {
  run(in, out, channels, [](float v) { return v; });
}

void BilinearResize::operator()(std::span<const uint8_t> in, std::span<float> out, int64_t channels) const {
  run(in, out, channels, [](uint8_t v) { return unit_interval[v]; });
}

}  // namespace trainer::data
