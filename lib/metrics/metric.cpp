#include "lib/metrics/metric.h"

namespace trainer::metrics {

void Rows::add(std::span<const float> row) {
  if (values_.empty()) width_ = row.size();
  check(!row.empty() && row.size() == width_, "rows of a metric: one of {} values after some of {}",
        row.size(), width_);
  values_.insert(values_.end(), row.begin(), row.end());
}

void Rows::assign(std::vector<float> values, int64_t rows) {
  check(rows == 0 ? values.empty() : std::ssize(values) % rows == 0, "rows of a metric: {} values in {} rows",
        values.size(), rows);
  width_ = rows == 0 ? 0 : values.size() / static_cast<size_t>(rows);
  values_ = std::move(values);
}

Registry<Metric>& metrics() {
  static Registry<Metric> registry("metric", "TEST");
  return registry;
}

}  // namespace trainer::metrics
