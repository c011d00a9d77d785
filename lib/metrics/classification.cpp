// acc1, acc5: the share of samples whose class is among the k largest logits.
//
// Of equal logits the one of the lower class counts as larger, so acc1 is the accuracy of the first maximum
// (as in torch.argmax). A NaN counts as larger than every number, and a sample whose own logit is NaN is
// never right. With fewer than k classes all of them count.
#include <cmath>

#include "lib/config/fields.h"
#include "lib/metrics/metric.h"

namespace trainer::metrics {
namespace {

class Accuracy final : public Metric {
 public:
  struct Config {
    int64_t top = 1;
    void fields(config::Fields&) {}
  };
  explicit Accuracy(const Config& config) : Metric(2), top_(config.top) {}

  void update(const Tensor& output, const Tensor& target) override {
    check(output.rank() == 2 && target.rank() == 1 && output.size(0) == target.size(0),
          "accuracy: needs logits [N, K] and class indices [N], got {} and {}", describe(output),
          describe(target));
    const int64_t classes = output.size(1);
    const auto labels = target.span<int64_t>();
    const auto logits = output.span<float>();
    for (size_t i = 0; i < labels.size(); ++i) {
      check(labels[i] >= 0 && labels[i] < classes, "accuracy: label {} is outside [0, {})", labels[i],
            classes);
      const auto row = logits.subspan(i * static_cast<size_t>(classes), static_cast<size_t>(classes));
      if (is_right(row, static_cast<size_t>(labels[i]))) ++sums_[0];
    }
    sums_[1] += static_cast<double>(labels.size());
  }

  double value() const override { return sums_[0] / sums_[1]; }

 private:
  bool is_right(std::span<const float> row, size_t label) const {
    const float own = row[label];
    if (std::isnan(own)) return false;
    int64_t ahead = 0;
    for (size_t k = 0; k < label; ++k) ahead += !(row[k] < own);  // written so that NaN is ahead
    for (size_t k = label + 1; k < row.size(); ++k) ahead += !(row[k] <= own);
    return ahead < top_;
  }

  int64_t top_;
};

const bool acc1 = metrics().add<Accuracy>("acc1", {.top = 1});
const bool acc5 = metrics().add<Accuracy>("acc5", {.top = 5});

}  // namespace
}  // namespace trainer::metrics
