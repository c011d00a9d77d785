#include "apps/trainer/bench_rows.h"

#include <fmt/ranges.h>

#include <algorithm>

#include "lib/base/error.h"
#include "lib/base/text.h"

namespace trainer::app::bench {
namespace {

const Row::Optimizer sgd{.name = "sgd", .lr = 0.1, .weight_decay = 1e-4, .momentum = 0.9};
// At 0.1 the second losses of MobileNetV2 in f32 lie 0.17 % apart: its rate is one at which they can be compared.
const Row::Optimizer slow_sgd{.name = "sgd", .lr = 0.0005, .weight_decay = 1e-4, .momentum = 0.9};
const Row::Optimizer adamw{.name = "adamw", .lr = 1e-3, .weight_decay = 0.05};
const std::vector<std::string> both{"f32", "bf16"}, f32{"f32"};

const Row table[] = {
    {"resnet50", {"resnet50"}, 3, 224, 16, sgd, both},
    {"mobilenetv2", {"mobilenetv2_100"}, 3, 224, 16, slow_sgd, both},
    {"resnet18_32", {"resnet18", 10, "small"}, 3, 32, 64, sgd, both},
    {"vit_tiny", {"vit_tiny_patch16_224"}, 3, 224, 16, adamw, both},
    {"vit_small", {"vit_small_patch16_224"}, 3, 224, 16, adamw, both},
    {"cnn", {.model = "cnn", .classes = 10, .widths = {32, 64, 128}}, 1, 8, 64, adamw, f32},
    {"mlp", {.model = "mlp", .classes = 10, .widths = {256, 256}}, 1, 8, 64, adamw, f32},
};

const Row& find(const std::string& name) {
  const auto found = std::ranges::find(rows(), name, &Row::name);
  std::vector<std::string> known;
  for (const Row& row : rows()) known.push_back(row.name);
  check(Exit::usage, found != rows().end(), "bench: unknown row '{}'{}; rows: {}", name,
        did_you_mean(name, known), fmt::join(known, ", "));
  return *found;
}

}  // namespace

std::span<const Row> rows() { return table; }

std::vector<Case> choose(const std::vector<std::string>& words) {
  std::vector<Case> cases;
  const auto add = [&](const Row& row, const std::string& dtype) {
    for (const Case& c : cases) {
      if (c.row == &row && c.dtype == dtype) return;
    }
    cases.push_back({&row, dtype});
  };
  for (const std::string& word : words) {
    const auto colon = word.find(':');
    const Row& row = find(word.substr(0, colon));
    if (colon == word.npos) {
      for (const std::string& dtype : row.dtypes) add(row, dtype);
      continue;
    }
    const std::string dtype = word.substr(colon + 1);
    check(Exit::usage, std::ranges::count(row.dtypes, dtype) > 0,
          "bench: row {} is measured in {}, not '{}'{}", row.name, fmt::join(row.dtypes, " and "), dtype,
          did_you_mean(dtype, row.dtypes));
    add(row, dtype);
  }
  if (!words.empty()) return cases;
  for (const Row& row : rows()) {
    for (const std::string& dtype : row.dtypes) add(row, dtype);
  }
  return cases;
}

// Both sides do the same work: what our defaults add to a step (label smoothing, stochastic depth, Nesterov's
// momentum, clipping) is switched off, and so is augmentation, which no step here has.
std::vector<std::string> opts(const Case& c) {
  const Row& row = *c.row;
  const Row::Network& net = row.network;
  std::vector<std::string> words;
  const auto set = [&words](const char* key, const auto& value) {
    words.insert(words.end(), {key, fmt::format("{}", value)});
  };
  set("DEVICE", "cpu");
  set("MODEL.NAME", net.model);
  set("MODEL.NUM_CLASSES", net.classes);
  set("MODEL.IN_CHANS", row.channels);
  set("MODEL.STEM", net.stem);
  if (!net.widths.empty())
    set(net.model == "cnn" ? "MODEL.CNN.WIDTHS" : "MODEL.MLP.HIDDEN",
        fmt::format("[{}]", fmt::join(net.widths, ",")));
  set("MODEL.DROP_PATH_RATE", "0.0");
  set("MODEL.LABEL_SMOOTHING", "0.0");
  set("DATA.DATASET", "synthetic");
  set("DATA.IMG_SIZE", row.side);
  set("DATA.BATCH_SIZE", row.batch);
  set("AUG.ENABLE", "False");
  set("TRAIN.LR_SCALING", "none");
  set("TRAIN.BASE_LR", row.optimizer.lr);
  set("TRAIN.WEIGHT_DECAY", row.optimizer.weight_decay);
  set("TRAIN.CLIP_GRAD", "0.0");
  set("TRAIN.OPTIMIZER.NAME", row.optimizer.name);
  if (row.optimizer.name == "sgd") {
    set("TRAIN.OPTIMIZER.MOMENTUM", row.optimizer.momentum);
    set("TRAIN.OPTIMIZER.NESTEROV", "False");
  }
  set("AMP_ENABLE", c.dtype == "f32" ? "False" : "True");
  set("AMP.DTYPE", c.dtype);
  return words;
}

nlohmann::ordered_json facts(const Case& c) {
  const Row& row = *c.row;
  return {{"model", row.network.model},
          {"classes", row.network.classes},
          {"stem", row.network.stem},
          {"widths", row.network.widths},
          {"sample", {row.channels, row.side, row.side}},
          {"batch", row.batch},
          {"optimizer", row.optimizer.name},
          {"lr", row.optimizer.lr},
          {"weight_decay", row.optimizer.weight_decay},
          {"momentum", row.optimizer.momentum},
          {"dtype", c.dtype}};
}

}  // namespace trainer::app::bench
