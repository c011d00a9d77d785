// auroc: the area under the ROC curve of each class against the others, averaged over the classes.
//
// A class's area is the probability that one of its samples gets a larger score than one that is not, equal
// scores counting half (Hanley and McNeil, 1982; from ranks: Mann and Whitney, 1947). The score is the
// class's softmax probability, so this is scikit-learn's roc_auc_score(labels, softmax(logits),
// multi_class="ovr"), except that a class that no sample or every sample has, whose area is undefined, is
// left out of the mean. NaN if all are, or a score is NaN.
#include <algorithm>
#include <cmath>
#include <limits>

#include "lib/config/fields.h"
#include "lib/metrics/metric.h"

namespace trainer::metrics {
namespace {

constexpr double nan = std::numeric_limits<double>::quiet_NaN();

struct Scored {
  double score;
  bool positive;
};

/// NaN where it is undefined. Ranks are halves of whole numbers: their sums are exact in any order.
double area(std::vector<Scored>& samples) {
  std::ranges::sort(samples, {}, &Scored::score);
  double positives = 0, rank_sum = 0;
  for (size_t begin = 0, end = 0; begin < samples.size(); begin = end) {
    double tied = 0;
    for (; end < samples.size() && samples[end].score == samples[begin].score; ++end)
      tied += samples[end].positive ? 1 : 0;
    positives += tied;
    rank_sum += tied * static_cast<double>(begin + 1 + end) / 2;  // the mean of the ranks begin + 1 ... end
  }
  const double negatives = static_cast<double>(samples.size()) - positives;
  return (rank_sum - positives * (positives + 1) / 2) / (positives * negatives);
}

/// The logarithm of the sum of e^x.
double log_sum_exp(std::span<const float> x) {
  const double largest = *std::ranges::max_element(x);
  double sum = 0;
  for (const float v : x) sum += std::exp(double{v} - largest);
  return largest + std::log(sum);
}

class Auroc final : public Metric {
 public:
  struct Config {
    void fields(config::Fields&) {}
  };
  explicit Auroc(const Config&) {}

  void update(const Tensor& output, const Tensor& target) override {
    check(output.rank() == 2 && target.rank() == 1 && output.size(0) == target.size(0) && output.size(1) > 1,
          "auroc: needs logits [N, K] of two or more classes and class indices [N], got {} and {}",
          describe(output), describe(target));
    const auto classes = static_cast<size_t>(output.size(1));
    const auto labels = target.span<int64_t>();
    std::vector<float> row(classes + 1);  // the logits and the label
    for (size_t i = 0; i < labels.size(); ++i) {
      check(labels[i] >= 0 && labels[i] < output.size(1), "auroc: label {} is outside [0, {})", labels[i],
            classes);
      std::ranges::copy(output.span<float>().subspan(i * classes, classes), row.begin());
      row.back() = static_cast<float>(labels[i]);
      rows_.add(row);
    }
  }

  double value() const override {
    if (rows_.empty()) return nan;
    const auto count = static_cast<size_t>(rows_.size());
    const size_t classes = rows_[0].size() - 1;
    std::vector<double> normaliser(count);
    for (size_t i = 0; i < count; ++i) normaliser[i] = log_sum_exp(rows_[i].first(classes));

    std::vector<Scored> samples(count);
    double sum = 0, defined = 0;
    for (size_t k = 0; k < classes; ++k) {
      for (size_t i = 0; i < count; ++i) {
        // The logarithm orders as the probability does, and does not run out of digits next to 0.
        samples[i] = {rows_[i][k] - normaliser[i], rows_[i].back() == static_cast<float>(k)};
        if (std::isnan(samples[i].score)) return nan;
      }
      const double a = area(samples);
      if (std::isnan(a)) continue;
      sum += a;
      ++defined;
    }
    return sum / defined;
  }
};

const bool registered = metrics().add<Auroc>("auroc");

}  // namespace
}  // namespace trainer::metrics
