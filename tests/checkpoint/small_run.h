// A model with optimizer state that is small enough to be saved thousands of times.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "lib/checkpoint/items.h"
#include "lib/config/config.h"
#include "lib/nn/model.h"

/// Two convolutions with batch norm and a classifier "fc", for images [4, 4, 2]; momentum of sgd.
struct SmallRun {
  explicit SmallRun(uint64_t seed) {
    using namespace trainer;
    config::Config c = config::Config::defaults();
    const std::vector<std::string> opts{"MODEL.NUM_CLASSES",    "3",    "MODEL.CNN.WIDTHS", "[3, 5]",
                                        "TRAIN.OPTIMIZER.NAME", "adamw"};
    c.merge_opts(opts);
    model = nn::models().make("cnn", c.group("MODEL"), {4, 4, 2});
    nn::initialize(*model, seed);
    parameters = std::make_unique<optim::Parameters>(*model, optim::GroupRules{});
    optimizer = optim::optimizers().make("adamw", c.group("TRAIN.OPTIMIZER"), *parameters);
    fill(static_cast<float>(seed));
  }

  /// Gives every element of the optimizer's state a value of its own.
  void fill(float first) {
    for (trainer::checkpoint::Item& item : state()) {
      for (float& v : item.value.span<float>()) v = first += 0.5f;
    }
  }
  std::vector<trainer::checkpoint::Item> weights() { return trainer::checkpoint::model_items(*model); }
  std::vector<trainer::checkpoint::Item> state() {
    return trainer::checkpoint::optimizer_items(*parameters, *optimizer);
  }

  std::unique_ptr<trainer::nn::Model> model;
  std::unique_ptr<trainer::optim::Parameters> parameters;
  std::unique_ptr<trainer::optim::Optimizer> optimizer;
};

inline bool equal(const std::vector<trainer::checkpoint::Item>& a,
                  const std::vector<trainer::checkpoint::Item>& b) {
  const auto same = [](const trainer::checkpoint::Item& x, const trainer::checkpoint::Item& y) {
    return x.name == y.name && x.value.dtype() == y.value.dtype() && x.value.shape() == y.value.shape() &&
           std::equal(x.value.raw(), x.value.raw() + x.value.bytes(), y.value.raw());
  };
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), same);
}
