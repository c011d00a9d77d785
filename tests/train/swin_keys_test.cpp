// No key of Swin's is ignored: set to another value, each one is read by what it concerns, refused, or listed here
// with the reason why nothing depends on it.
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>

#include "lib/config/pending.h"
#include "lib/train/build.h"
#include "tests/error_of.h"

using namespace trainer;
using Json = nlohmann::json;
using Words = std::vector<std::string>;

namespace {

/// Pending keys on which no result depends; a warning says that they are ignored.
const std::map<std::string, std::string> harmless = {
    {"FUSED_WINDOW_PROCESS", "faster, the same numbers"},
    {"FUSED_LAYERNORM", "faster, the same numbers"},
    {"DATA.CACHE_MODE", "matters with ZIP_MODE, which is refused"},
    {"DATA.MASK_PATCH_SIZE", "SimMIM's pretraining, which is another program of Swin's"},
    {"DATA.MASK_RATIO", "the same"},
    {"MODEL.SIMMIM.NORM_TARGET.PATCH_SIZE", "matters with ENABLE, which is refused"},
    {"TEST.SEQUENTIAL", "every sample is evaluated once, in any order"},
    {"TEST.SHUFFLE", "the same"},
    {"TRAIN.USE_CHECKPOINT", "less memory, the same numbers"},
    {"TRAIN.MOE.SAVE_MASTER", "how a mixture of experts is saved, which no model is"},
};

/// What else makes a key matter, where it is not a training of an MLP on made-up images.
const std::map<std::string, Words> needed = {
    {"MODEL.DROP_RATE", {"MODEL.NAME", "vit_tiny_patch16_224", "DATA.IMG_SIZE", "32"}},
    {"MODEL.DROP_PATH_RATE", {"MODEL.NAME", "vit_tiny_patch16_224", "DATA.IMG_SIZE", "32"}},
    {"TRAIN.OPTIMIZER.MOMENTUM", {"TRAIN.OPTIMIZER.NAME", "sgd"}},
    {"TRAIN.LR_SCHEDULER.DECAY_EPOCHS", {"TRAIN.LR_SCHEDULER.NAME", "step"}},
    {"TRAIN.LR_SCHEDULER.DECAY_RATE", {"TRAIN.LR_SCHEDULER.NAME", "step"}},
    {"TRAIN.LR_SCHEDULER.GAMMA", {"TRAIN.LR_SCHEDULER.NAME", "multistep"}},
    {"TRAIN.LR_SCHEDULER.MULTISTEPS", {"TRAIN.LR_SCHEDULER.NAME", "multistep"}},
    {"DATA.DATA_PATH", {"DATA.DATASET", "tensors"}},
};

/// Another value than the default that a key takes; by its type where it is not here.
const std::map<std::string, std::string> values = {
    {"AMP_OPT_LEVEL", "O1"},
    {"AMP_ENABLE", "True"},
    {"ENABLE_AMP", "True"},
    {"MODEL.NAME", "resnet18"},
    {"DATA.IMG_SIZE", "16"},
    {"DATA.BATCH_SIZE", "4"},
    {"MODEL.NUM_CLASSES", "7"},
    {"TRAIN.OPTIMIZER.NAME", "lamb"},
    {"TRAIN.OPTIMIZER.BETAS", "[0.5, 0.75]"},
    {"TRAIN.LR_SCHEDULER.NAME", "linear"},
    {"TRAIN.LR_SCHEDULER.MULTISTEPS", "[3, 5]"},
    {"AUG.CUTMIX_MINMAX", "[0.2, 0.8]"},
};

std::string other_value(const std::string& key, const Json& value) {
  if (const auto found = values.find(key); found != values.end()) return found->second;
  if (value.is_boolean()) return value.get<bool>() ? "False" : "True";
  if (value.is_number_integer()) return std::to_string(value.get<int64_t>() + 1);
  if (value.is_number()) return fmt::format("{}", value.get<double>() / 2 + 0.001);
  if (value.is_array()) return "[1]";
  return value.is_null() ? "0.5" : "other";
}

/// Builds all that a training and its evaluation consist of. Returns the keys that were set and that nothing read.
Words build(const Words& opts) {
  Words words{"MODEL.NAME",
              "mlp",
              "MODEL.NUM_CLASSES",
              "10",
              "DATA.DATASET",
              "synthetic",
              "DATA.IMG_SIZE",
              "8",
              "DATA.SYNTHETIC.TRAIN_SAMPLES",
              "64",
              "DATA.SYNTHETIC.VAL_SAMPLES",
              "8",
              "DATA.BATCH_SIZE",
              "8",
              "AMP_ENABLE",
              "False",
              "TRAIN.WARMUP_EPOCHS",
              "0"};
  const bool augmentation = std::ranges::any_of(opts, [](const auto& w) { return w.starts_with("AUG."); });
  if (!augmentation) words.insert(words.end(), {"AUG.ENABLE", "False"});
  words.insert(words.end(), opts.begin(), opts.end());
  config::Config config = config::Config::defaults();
  config.merge_opts(words);
  config::check_pending(config);
  const train::Settings settings(config);
  const auto comm = comm::make_comm({}, config.group("COMM"), World{});
  const train::Training training(
      config, settings,
      train::build_loader(train::build_dataset(config, settings, data::Split::train), settings,
                          data::Split::train, *comm),
      Device{}, *comm);
  train::build_metrics(config, settings, training.loader->dataset().spec());
  return config.unread();
}

}  // namespace

TEST_CASE("no key of Swin's is ignored") {
  std::ifstream file(TESTS_DIR "/golden/swin_configs.json");
  REQUIRE(file);
  const Json defaults = Json::parse(file)["defaults"];
  const config::Config known = config::Config::defaults();
  size_t pending = 0;
  for (const auto& [key, value] : defaults.items()) {
    if (key == "BASE") continue;
    Words words{key, other_value(key, value)};
    if (const auto found = needed.find(key); found != needed.end())
      words.insert(words.end(), found->second.begin(), found->second.end());
    for (const char* family : {"SWIN", "SWINV2", "SWIN_MLP", "SWIN_MOE"}) {
      if (!key.starts_with(fmt::format("MODEL.{}.", family))) continue;
      std::string type(family);
      std::ranges::transform(type, type.begin(), [](char c) { return c == '_' ? c : char(c | 0x20); });
      words.insert(words.end(), {"MODEL.TYPE", type});
    }
    if (key == "ENABLE_AMP") words.insert(words.end(), {"AMP_ENABLE", "True"});
    std::string error;
    Words unread;
    try {
      unread = build(words);
    } catch (const Error& e) {
      CHECK((e.code() == Exit::usage || e.code() == Exit::data || e.code() == Exit::weights));
      error = e.what();
    }
    INFO(words[0] << " " << words[1] << ": " << error);
    if (known.explanation(key).unsupported) {
      ++pending;
      const bool refused = error.find(key + ": known but not implemented yet") != error.npos;
      CHECK(refused != harmless.contains(key));
      if (!refused) CHECK(error.empty());
    } else if (error.empty()) {
      CHECK(std::ranges::count(unread, key) == 0);
    } else {  // read, and no such component, file or device is there
      CHECK((error.find(key) != error.npos || error.find(words[1]) != error.npos));
    }
  }
  for (const auto& [key, reason] : harmless) {
    INFO(key << ": " << reason);
    CHECK(known.explanation(key).unsupported);
  }
  CHECK(pending > 0);
}
