#include "lib/metrics/metric.h"

namespace trainer::metrics {

Registry<Metric>& metrics() {
  static Registry<Metric> registry("metric", "METRICS");
  return registry;
}

}  // namespace trainer::metrics
