// Weights, batches and gradients from a formula, bit for bit those of scripts/goldens/formula.py.
//
// Golden fixtures hold a seed and PyTorch's results; both sides make the inputs themselves. All arrays are in
// file layout, row-major: images [N, C, H, W], convolution weights [O, I, KH, KW], linear weights [O, I].
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/rng.h"
#include "lib/tensor/shape.h"

namespace golden {

using trainer::Rng;
using trainer::Shape;

/// 32 signed sums of a tensor. (s - t)^2 has the expectation |x - y|^2 for the sketches s, t of x and y.
using Sketch = std::array<double, 32>;

/// An estimate of |x - y| from the sketches of x and y; its standard deviation is an eighth of it.
inline double distance(std::span<const double> a, std::span<const double> b) {
  double sum = 0;
  for (size_t j = 0; j < a.size(); ++j) sum += (a[j] - b[j]) * (a[j] - b[j]);
  return std::sqrt(sum / static_cast<double>(a.size()));
}

class Formula {
 public:
  explicit Formula(uint64_t seed) : root_(seed) {}

  /// The floating tensor `name` of a state dict. `fan_in`: that of the layer's weight; 0 for normalisation
  /// layers and tokens.
  std::vector<float> weight(std::string_view name, const Shape& shape, int64_t fan_in) const {
    const auto count = static_cast<size_t>(shape.numel());
    if (name.ends_with("running_mean")) return std::vector<float>(count, 0.0F);
    if (name.ends_with("running_var")) return std::vector<float>(count, 1.0F);
    const Rng rng = root_.fork(name);
    if (shape.rank() > 2 && fan_in > 0)
      return symmetric(rng, 0, count, std::sqrt(6.0 / static_cast<double>(fan_in)));
    if (fan_in > 0) return symmetric(rng, 0, count, 1.0 / std::sqrt(static_cast<double>(fan_in)));
    if (!name.ends_with("weight")) return symmetric(rng, 0, count, 0.1);
    std::vector<float> values(count);
    // The last norm of a residual branch begins small, as in timm (there 0): otherwise rounding errors double
    // with every block.
    float factor = 1;
    if (name.starts_with("layer") && name.ends_with("bn2.weight")) factor = 0.25F;
    if (name.starts_with("blocks") && name.ends_with("bn3.weight")) factor = 0.5F;
    for (size_t e = 0; e < count; ++e) values[e] = (0.5F + rng.uniform(0, e)) * factor;
    return values;
  }

  /// All floating tensors of a state dict, given names and shapes.
  std::map<std::string, std::vector<float>> weights(const std::map<std::string, Shape>& shapes) const {
    std::map<std::string, std::vector<float>> all;
    for (const auto& [name, shape] : shapes) {
      const auto sibling = shapes.find(name.substr(0, name.rfind('.')) + ".weight");
      const bool has_fan_in = sibling != shapes.end() && sibling->second.rank() > 1;
      all[name] = weight(name, shape, has_fan_in ? sibling->second.drop_front().numel() : 0);
    }
    return all;
  }

  /// `count` values of zero mean and unit variance.
  std::vector<float> images(uint64_t step, size_t count) const {
    return symmetric(root_.fork("images"), step, count, std::sqrt(3.0));
  }
  std::vector<int64_t> labels(uint64_t step, size_t count, uint32_t classes) const {
    const Rng rng = root_.fork("labels");
    std::vector<int64_t> values(count);
    for (size_t i = 0; i < count; ++i) values[i] = rng.bits(step, i) % classes;
    return values;
  }
  /// A made-up gradient for tests of optimizers; its size varies with the step, over powers of two.
  std::vector<float> gradient(std::string_view name, uint64_t step, size_t count) const {
    return symmetric(root_.fork("gradients").fork(name), step, count,
                     std::ldexp(1.0, -static_cast<int>(step % 4)));
  }

  /// Bit j of element e's word is the sign that x[e] has in sum j: set is plus.
  Sketch sketch(std::string_view name, std::span<const float> x) const {
    const Rng rng = root_.fork("sketch").fork(name);
    Sketch sums{};
    for (size_t e = 0; e < x.size(); e += 4) {
      const auto words = rng.block(0, e / 4);
      for (size_t k = e; k < std::min(e + 4, x.size()); ++k) {
        for (size_t j = 0; j < sums.size(); ++j) sums[j] += (words[k - e] >> j & 1U) != 0 ? x[k] : -x[k];
      }
    }
    return sums;
  }

 private:
  /// Uniform in [-bound, bound): 2u - 1 is exact in f32, the product is rounded once.
  static std::vector<float> symmetric(const Rng& rng, uint64_t index, size_t count, double bound) {
    std::vector<float> values(count);
    for (size_t e = 0; e < count; ++e)
      values[e] = (2.0F * rng.uniform(index, e) - 1.0F) * static_cast<float>(bound);
    return values;
  }

  Rng root_;
};

}  // namespace golden
