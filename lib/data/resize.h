// Bilinear resizing of one image.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace trainer::data {

/// torch.nn.functional.interpolate(mode='bilinear', align_corners=False, antialias=False) between two sizes.
/// The weights are computed once; equal sizes copy bit for bit.
class BilinearResize {
 public:
  BilinearResize(int64_t from_height, int64_t from_width, int64_t to_height, int64_t to_width);
  /// Between squares.
  BilinearResize(int64_t from, int64_t to) : BilinearResize(from, from, to, to) {}

  /// in [from_height, from_width, channels], out [to_height, to_width, channels]. Bytes count as v / 255.
  void operator()(std::span<const float> in, std::span<float> out, int64_t channels = 1) const;
  void operator()(std::span<const uint8_t> in, std::span<float> out, int64_t channels = 1) const;

 private:
  /// Where an output row (or column) comes from: (1 - weight) in[low] + weight in[high].
  struct Tap {
    int64_t low, high;
    float weight;
  };
  static std::vector<Tap> taps(int64_t from, int64_t to);
  template <class T, class Value>
  void run(std::span<const T> in, std::span<float> out, int64_t channels, const Value& value) const;

  int64_t from_height_, from_width_;
  std::vector<Tap> rows_, columns_;
};

}  // namespace trainer::data
