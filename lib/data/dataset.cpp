#include "lib/data/dataset.h"

#include <algorithm>

#include "lib/data/transform.h"

namespace trainer::data {
namespace {

const bool declared = (config::declare("DATA", DatasetConfig{}), true);

}  // namespace

std::string_view name_of(Split split) { return split == Split::train ? "train" : "val"; }

void read_sample(const Dataset& dataset, int64_t index, const Rng& rng, const Sample& into) {
  try {
    dataset.read(index, rng, into);
  } catch (const Error& error) {
    throw Error(error.code(), fmt::format("{}: {}", dataset.name_of(index), error.what()));
  } catch (const std::exception& error) {
    throw Error(Exit::data, fmt::format("{}: {}", dataset.name_of(index), error.what()));
  }
}

Registry<Dataset, const Request&>& datasets() {
  static Registry<Dataset, const Request&> registry("dataset", "DATA");
  return registry;
}

std::shared_ptr<const Dataset> make_dataset(const config::Node& root, const Request& request) {
  const config::Node& data = root.at("DATA");
  return with_transforms(datasets().make(config::bind<DatasetConfig>(data).name, data, request), root,
                         request.split);
}

int64_t check_labels(const Dataset& dataset, std::span<const int64_t> labels, const Request& request) {
  int64_t largest = -1;
  for (size_t i = 0; i < labels.size(); ++i) {
    const int64_t label = labels[i];
    const auto name = [&] { return dataset.name_of(static_cast<int64_t>(i)); };
    if (label < 0) fail(Exit::data, "{}: label {} is negative", name(), label);
    if (request.num_classes > 0 && label >= request.num_classes) {
      fail(Exit::data, "{}: label {} is outside [0, {}), the range of MODEL.NUM_CLASSES", name(), label,
           request.num_classes);
    }
    largest = std::max(largest, label);
  }
  return largest + 1;
}

}  // namespace trainer::data
