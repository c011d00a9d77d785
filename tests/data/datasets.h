// What the data tests share: datasets by name and options, and one sample of them.
#pragma once

#include <string>
#include <vector>

#include "lib/data/dataset.h"

namespace trainer::data {

/// The dataset that `opts` ("DATA.DATASET", "digits", ...) describe.
std::shared_ptr<const Dataset> dataset_of(const std::vector<std::string>& opts, const Request& = {});

struct Row {
  std::vector<float> input, target;
  int64_t label = -1;
};
Row row_of(const Dataset&, int64_t index);

}  // namespace trainer::data
