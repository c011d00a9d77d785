#include "tests/data/datasets.h"

#include "lib/config/config.h"

namespace trainer::data {

std::shared_ptr<const Dataset> dataset_of(const std::vector<std::string>& opts, const Request& request) {
  auto config = config::Config::defaults();
  config.merge_opts(opts);
  return make_dataset(config.root(), request);
}

Row row_of(const Dataset& dataset, int64_t index) {
  const Spec& spec = dataset.spec();
  Row row;
  row.input.resize(static_cast<size_t>(spec.input.numel()));
  Sample into{.input = row.input};
  if (spec.is_classification()) {
    into.label = {&row.label, 1};
  } else {
    row.target.resize(static_cast<size_t>(spec.target.numel()));
    into.target = row.target;
  }
  dataset.read(index, Rng(), into);
  return row;
}

}  // namespace trainer::data
