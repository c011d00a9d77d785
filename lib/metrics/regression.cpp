// mse, rmse, mae: mean squared error, its root, and mean absolute error over all elements.
#include <cmath>

#include "lib/config/fields.h"
#include "lib/metrics/metric.h"

namespace trainer::metrics {
namespace {

enum class Kind { squared, root_squared, absolute };

class MeanError final : public Metric {
 public:
  struct Config {
    Kind kind = Kind::squared;
    void fields(config::Fields&) {}
  };
  explicit MeanError(const Config& config) : Metric(2), kind_(config.kind) {}

  void update(const Tensor& output, const Tensor& target) override {
    check(output.numel() == target.numel() && output.rank() >= 1 && target.rank() >= 1 &&
              output.size(0) == target.size(0),
          "mean error: the output is {}, the target {}", describe(output), describe(target));
    const auto a = output.span<float>(), b = target.span<float>();
    for (size_t i = 0; i < a.size(); ++i) {
      const double difference = double{a[i]} - double{b[i]};
      sums_[0] += kind_ == Kind::absolute ? std::abs(difference) : difference * difference;
    }
    sums_[1] += static_cast<double>(a.size());
  }

  double value() const override {
    const double mean = sums_[0] / sums_[1];
    return kind_ == Kind::root_squared ? std::sqrt(mean) : mean;
  }
  bool higher_is_better() const override { return false; }

 private:
  Kind kind_;
};

const bool mse = metrics().add<MeanError>("mse", {.kind = Kind::squared});
const bool rmse = metrics().add<MeanError>("rmse", {.kind = Kind::root_squared});
const bool mae = metrics().add<MeanError>("mae", {.kind = Kind::absolute});

}  // namespace
}  // namespace trainer::metrics
