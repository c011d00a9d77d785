// Whether both sides of `trainer bench` did the same work: a step that computes something else says nothing
// about speed.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

namespace trainer::app::bench {

/// What a run trained.
struct Work {
  int64_t parameters = 0;      ///< elements that are trained
  int64_t decayed = 0;         ///< those of them that weight decay shrinks
  std::vector<double> losses;  ///< of the first steps
};

/// From a side's answer; nothing unless all of it is there. A loss that is null is NaN.
std::optional<Work> work_of(const nlohmann::json& answer);

/// The largest of the losses' differences, relative to ours; infinite if one is not finite.
double largest_difference(const Work& ours, const Work& theirs);

/// What differs, with both figures: counts at all, a loss by more than `tolerance`. "" if nothing does.
std::string disagreement(const Work& ours, const Work& theirs, double tolerance);

}  // namespace trainer::app::bench
