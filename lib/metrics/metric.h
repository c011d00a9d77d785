// Metric: a number over a set of samples, collected batch by batch. Host code on f32 outputs. Adding one is
// writing one .cpp in this folder that registers it.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "lib/registry/registry.h"
#include "lib/tensor/tensor.h"

namespace trainer::metrics {

class Metric {
 public:
  virtual ~Metric() = default;

  /// Adds a batch. output: f32 [N, ...], logits or predictions; target: i64 [N] or f32 as output. N may be 0.
  virtual void update(const Tensor& output, const Tensor& target) = 0;

  /// Over everything added so far; NaN before the first sample.
  virtual double value() const = 0;

  /// Which of two values is the better one: errors are better when they are lower.
  virtual bool higher_is_better() const { return true; }

  /// All that has been collected, as sums: added element by element over the ranks they are those of the
  /// whole set. Counts are whole numbers, which f64 adds exactly up to 2^53, in any order.
  std::span<double> sums() { return sums_; }
  void reset() { sums_.assign(sums_.size(), 0.0); }

 protected:
  explicit Metric(size_t sums) : sums_(sums) {}
  std::vector<double> sums_;
};

/// All metrics, by name: acc1, acc5, mse, mae ...
Registry<Metric>& metrics();

/// The mean of a quantity that comes as means over batches, weighted by their samples: the loss.
class Mean {
 public:
  void add(double mean, int64_t samples) {
    if (samples == 0) return;  // 0 x NaN would stay
    sums_[0] += mean * static_cast<double>(samples);
    sums_[1] += static_cast<double>(samples);
  }
  double value() const { return sums_[0] / sums_[1]; }  ///< NaN before the first sample
  int64_t samples() const { return static_cast<int64_t>(sums_[1]); }
  /// As Metric::sums().
  std::span<double> sums() { return sums_; }
  void reset() { sums_ = {}; }

 private:
  std::array<double, 2> sums_{};
};

}  // namespace trainer::metrics
