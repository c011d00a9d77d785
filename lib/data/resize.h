// Bilinear resizing of one image.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace trainer::data {

/// torch.nn.functional.interpolate(mode='bilinear', align_corners=False, antialias=False) between two square
/// sizes. The weights are computed once; equal sizes copy bit for bit.
class BilinearResize {
 public:
  BilinearResize(int64_t from, int64_t to);
  /// in [from, from, channels], out [to, to, channels].
  void operator()(std::span<const float> in, std::span<float> out, int64_t channels = 1) const;

 private:
  /// Where an output row (or column) comes from: (1 - weight) in[low] + weight in[high].
  struct Tap {
    int64_t low, high;
    float weight;
  };
  int64_t from_;
  std::vector<Tap> taps_;
};

}  // namespace trainer::data
