// Metric: a number over a set of samples, collected batch by batch. Host code on f32 outputs. Adding one is
// writing one .cpp in this folder that registers it.
//
//   const auto acc1 = metrics().make("acc1", config.group("TEST"));
//   acc1->update(logits, labels);    // for each batch
//   acc1->value();
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "lib/registry/registry.h"
#include "lib/tensor/tensor.h"

namespace trainer::metrics {

/// A table of one row for each sample, in the order in which the samples were added.
class Rows {
 public:
  /// All rows have the length of the first.
  void add(std::span<const float> row);
  /// Row i; of size() rows.
  std::span<const float> operator[](size_t i) const { return values().subspan(i * width_, width_); }
  int64_t size() const { return width_ == 0 ? 0 : std::ssize(values_) / static_cast<int64_t>(width_); }
  bool empty() const { return values_.empty(); }

  std::span<const float> values() const { return values_; }
  /// The whole table, row after row.
  void assign(std::vector<float> values, int64_t rows);
  void clear() { values_.clear(), width_ = 0; }

 private:
  std::vector<float> values_;
  size_t width_ = 0;
};

/// A metric collects one of two things. Sums, where it is one of sums over samples (accuracy, mean errors).
/// Or rows, where it takes all samples together (rank statistics, retrieval): then every update() adds one
/// row for each sample of its batch, of scores and whatever else value() needs.
class Metric {
 public:
  virtual ~Metric() = default;

  /// Adds a batch. output: f32 [N, ...], logits or predictions; target: i64 [N] or f32 as output. N may be 0.
  /// Throws Error(Exit::internal) if the metric is not one of such outputs and targets, also where N is 0.
  virtual void update(const Tensor& output, const Tensor& target) = 0;

  /// Over everything added so far; NaN before the first sample. May take long: ask once.
  virtual double value() const = 0;

  /// Which of two values is the better one: errors are better when they are lower.
  virtual bool higher_is_better() const { return true; }

  /// Of the samples added here; summed element by element over the ranks, of the whole set. Counts are whole
  /// numbers, which f64 adds exactly up to 2^53, in any order.
  std::span<double> sums() { return sums_; }
  /// Of the samples added here; gathered over the ranks in the order of the samples, of the whole set. f32:
  /// whole numbers are exact up to 2^24.
  Rows& rows() { return rows_; }
  void reset() {
    sums_.assign(sums_.size(), 0.0);
    rows_.clear();
  }

 protected:
  Metric() = default;
  explicit Metric(size_t sums) : sums_(sums) {}
  std::vector<double> sums_;
  Rows rows_;
};

/// All metrics, by name: acc1, acc5, mse, mae ... Keys of a metric's own are in TEST.
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
