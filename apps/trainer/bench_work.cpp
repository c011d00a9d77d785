#include "apps/trainer/bench_work.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "lib/base/text.h"

namespace trainer::app::bench {
namespace {

double difference(double ours, double theirs) {
  const double d = std::abs(theirs - ours) / std::abs(ours);
  return std::isfinite(d) ? d : std::numeric_limits<double>::infinity();
}

}  // namespace

std::optional<Work> work_of(const nlohmann::json& answer) {
  if (!answer.is_object()) return std::nullopt;
  for (const char* key : {"parameters", "decayed"}) {
    if (!answer.contains(key) || !answer[key].is_number_integer()) return std::nullopt;
  }
  if (!answer.contains("losses") || !answer["losses"].is_array()) return std::nullopt;
  Work work{.parameters = answer["parameters"], .decayed = answer["decayed"], .losses = {}};
  for (const nlohmann::json& loss : answer["losses"])
    work.losses.push_back(loss.is_number() ? loss.get<double>() : std::numeric_limits<double>::quiet_NaN());
  return work;
}

double largest_difference(const Work& ours, const Work& theirs) {
  double largest = 0;
  for (size_t i = 0; i < std::min(ours.losses.size(), theirs.losses.size()); ++i)
    largest = std::max(largest, difference(ours.losses[i], theirs.losses[i]));
  return largest;
}

std::string disagreement(const Work& ours, const Work& theirs, double tolerance) {
  const auto counts = [](int64_t here, int64_t there, const char* what) {
    return fmt::format("{} {} here, {} in PyTorch", with_commas(here), what, with_commas(there));
  };
  if (ours.parameters != theirs.parameters) return counts(ours.parameters, theirs.parameters, "parameters");
  if (ours.decayed != theirs.decayed)
    return counts(ours.decayed, theirs.decayed, "parameters with weight decay");
  const size_t steps = ours.losses.size(), those = theirs.losses.size();
  if (steps != those)
    return counts(static_cast<int64_t>(steps), static_cast<int64_t>(those), "losses reported");
  for (size_t i = 0; i < steps; ++i) {
    const double d = difference(ours.losses[i], theirs.losses[i]);
    if (d <= tolerance) continue;
    return fmt::format(
        "losses differ: {:.6g} here, {:.6g} in PyTorch at step {} ({:.2g} %, {:.2g} % allowed)",
        ours.losses[i], theirs.losses[i], i + 1, 100 * d, 100 * tolerance);
  }
  return "";
}

}  // namespace trainer::app::bench
