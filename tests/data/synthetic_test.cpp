#include <cmath>
#include <limits>
#include <map>

#include "tests/catch.h"
#include "tests/data/datasets.h"

namespace trainer::data {
namespace {

std::shared_ptr<const Dataset> synthetic(Split split) {
  return dataset_of({"DATA.DATASET", "synthetic", "DATA.IMG_SIZE", "16", "DATA.SYNTHETIC.TRAIN_SAMPLES",
                     "400", "DATA.SYNTHETIC.VAL_SAMPLES", "100"},
                    {.split = split, .num_classes = 4, .channels = 2});
}

TEST_CASE("synthetic images are a function of their number") {
  const auto train = synthetic(Split::train), val = synthetic(Split::val);
  CHECK(train->size() == 400);
  CHECK(val->size() == 100);
  CHECK(train->spec().input == Shape{16, 16, 2});
  CHECK(train->spec().num_classes == 4);
  CHECK(row_of(*train, 3).input == row_of(*synthetic(Split::train), 3).input);
  CHECK(row_of(*train, 3).input != row_of(*train, 4).input);
  CHECK(row_of(*train, 3).input != row_of(*val, 3).input);
}

TEST_CASE("synthetic images can be learnt: the nearest class mean of the training split tells the class") {
  const auto train = synthetic(Split::train), val = synthetic(Split::val);
  std::map<int64_t, std::vector<double>> sums;
  std::map<int64_t, int64_t> counts;
  for (int64_t i = 0; i < train->size(); ++i) {
    const Row row = row_of(*train, i);
    auto& sum = sums[row.label];
    sum.resize(row.input.size());
    for (size_t k = 0; k < sum.size(); ++k) sum[k] += row.input[k];
    ++counts[row.label];
  }
  REQUIRE(sums.size() == 4);
  int64_t right = 0;
  for (int64_t i = 0; i < val->size(); ++i) {
    const Row row = row_of(*val, i);
    int64_t nearest = -1;
    double least = std::numeric_limits<double>::infinity();
    for (const auto& [label, sum] : sums) {
      double distance = 0;
      for (size_t k = 0; k < sum.size(); ++k) {
        distance += std::pow(row.input[k] - sum[k] / static_cast<double>(counts[label]), 2);
      }
      if (distance < least) least = distance, nearest = label;
    }
    right += nearest == row.label;
  }
  CHECK(right >= 95);
}

}  // namespace
}  // namespace trainer::data
