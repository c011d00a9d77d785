#include "lib/train/origin.h"

#include <algorithm>
#include <map>

#include "lib/base/log.h"
#include "lib/base/text.h"
#include "lib/checkpoint/hash.h"
#include "lib/data/image.h"

namespace trainer::train {
namespace {

struct Rule {
  std::string_view keys;  // a shell pattern
  Effect effect;
};

// The first that matches; what none names is refused: it is part of what the saved numbers mean.
constexpr Rule rules[] = {
    {"OUTPUT", Effect::none},
    {"TAG", Effect::none},
    {"BASE", Effect::none},
    {"PRINT_FREQ", Effect::none},
    {"SAVE_*", Effect::none},
    {"EVAL_MODE", Effect::none},
    {"THROUGHPUT_MODE", Effect::none},
    {"LOCAL_RANK", Effect::none},
    {"COMM.*", Effect::none},
    {"MODEL.PRETRAINED", Effect::none},
    {"MODEL.WEIGHTS_DIR", Effect::none},
    {"MODEL.RESUME", Effect::none},
    {"TRAIN.AUTO_RESUME", Effect::none},
    {"TRAIN.START_EPOCH", Effect::none},
    {"DATA.DATA_PATH", Effect::none},  // data may move; Origin::data tells whether it is the same
    {"DATA.NUM_WORKERS", Effect::none},
    {"DATA.PIN_MEMORY", Effect::none},
    {"DATA.TIMEOUT", Effect::none},
    {"DATA.ZIP_MODE", Effect::none},
    {"DATA.CACHE_MODE", Effect::none},
    {"DATA.TRANSFORMS.*", Effect::course},
    {"DATA.BATCH_SIZE", Effect::none},  // Origin::global_batch is what counts
    {"TEST.*", Effect::none},
    {"FUSED_*", Effect::none},
    {"THREADS", Effect::bits},
    {"DEVICE", Effect::bits},
    {"DETERMINISTIC", Effect::bits},
    {"CUDNN.*", Effect::bits},
    {"CONV.*", Effect::bits},
    {"TF32", Effect::bits},
    {"TRAIN.USE_CHECKPOINT", Effect::bits},
    {"TRAIN.SYNC_BN", Effect::course},
    {"TRAIN.OPTIMIZER.NAME", Effect::refused},
    {"TRAIN.ACCUMULATION_STEPS", Effect::refused},
    {"TRAIN.FREEZE", Effect::refused},  // decides what has an optimizer state
    {"TRAIN.*", Effect::course},
    {"AUG.*", Effect::course},
    {"AMP*", Effect::course},
    {"ENABLE_AMP", Effect::none},  // AMP_ENABLE is what counts
    {"MODEL.LABEL_SMOOTHING", Effect::course},
    {"MODEL.DROP_RATE", Effect::course},
    {"MODEL.DROP_PATH_RATE", Effect::course},
};

std::map<std::string, std::string> by_key(const std::vector<std::string>& lines) {
  std::map<std::string, std::string> all;
  for (const std::string& line : lines) {
    const size_t colon = line.find(": ");
    if (colon != std::string::npos) all.emplace(line.substr(0, colon), line.substr(colon + 2));
  }
  return all;
}

std::string text_of(const Change& c) { return fmt::format("{}: {} -> {}", c.key, c.before, c.after); }

}  // namespace

void Origin::state(checkpoint::Archive& a) {
  a("config", config);
  a("data", data);
  a("global_batch", global_batch);
  a("world_size", world_size);
  a("threads", threads);
  a("precision", precision);
  a("device", device);
  a("build", build);
  a("instruction_set", instruction_set);
}

std::string hash_of(const Origin& origin) {
  checkpoint::Archive archive;
  Origin(origin).state(archive);
  checkpoint::Hasher hasher;
  const std::string text = archive.text();
  hasher.update(std::as_bytes(std::span(text)));
  return hasher.digest();
}

std::string fingerprint(const data::Dataset& transformed) {
  constexpr int64_t most = 64;
  const data::Dataset& dataset = transformed.source();
  const data::Spec& spec = dataset.spec();
  data::Image image;
  std::vector<float> input(static_cast<size_t>(spec.input.numel())),
      target(static_cast<size_t>(spec.target.numel()));
  std::vector<int64_t> label(spec.is_classification() ? 1 : 0);
  checkpoint::Hasher hasher;
  for (int64_t i = 0; i < std::min(most, dataset.size()); ++i) {
    const int64_t index = i * dataset.size() / std::min(most, dataset.size());
    data::Sample sample{.input = input, .label = label, .image = &image};
    if (!spec.is_classification()) sample.target = target;
    read_sample(dataset, index, Rng(0), sample);
    if (spec.varies()) {
      input.resize(static_cast<size_t>(image.shape().numel()));
      image.copy_to(input);
    }
    hasher.update(std::as_bytes(std::span(input)));
    hasher.update(std::as_bytes(std::span(label)));
    hasher.update(std::as_bytes(std::span(target)));
  }
  return hasher.digest();
}

std::vector<std::string> config_lines(const config::Config& config) {
  std::vector<std::string> lines;
  for (const config::Node* leaf : config.root().leaves()) {
    lines.push_back(fmt::format("{}: {}", leaf->path(), leaf->value().repr()));
  }
  return lines;
}

Effect effect_of(std::string_view key) {
  const auto* rule = std::ranges::find_if(rules, [&](const Rule& r) { return glob_match(r.keys, key); });
  return rule == std::end(rules) ? Effect::refused : rule->effect;
}

std::vector<Change> compare(const Origin& before, const Origin& now) {
  std::vector<Change> changes;
  const auto add = [&](std::string key, const std::string& a, const std::string& b, Effect effect) {
    if (a != b) changes.push_back({std::move(key), a, b, effect});
  };
  const auto old_keys = by_key(before.config), new_keys = by_key(now.config);
  const auto deterministic = [](const std::map<std::string, std::string>& keys) {
    const auto found = keys.find("DETERMINISTIC");
    return found != keys.end() && found->second == "True";
  };
  const Effect of_threads =
      deterministic(old_keys) && deterministic(new_keys) ? Effect::none : effect_of("THREADS");
  for (const auto& [key, value] : new_keys) {
    const auto old = old_keys.find(key);
    // A key that only one of the two builds has is not compared.
    if (old != old_keys.end()) add(key, old->second, value, key == "THREADS" ? of_threads : effect_of(key));
  }
  add("training data", before.data, now.data, Effect::refused);
  add("samples of a global batch", std::to_string(before.global_batch), std::to_string(now.global_batch),
      Effect::refused);
  add("precision", before.precision, now.precision, Effect::course);
  add("processes", std::to_string(before.world_size), std::to_string(now.world_size), Effect::bits);
  add("threads", std::to_string(before.threads), std::to_string(now.threads), of_threads);
  add("device", before.device, now.device, Effect::bits);
  add("instruction set", before.instruction_set, now.instruction_set, Effect::bits);
  add("build", before.build, now.build, Effect::bits);
  return changes;
}

void check_changes(const std::vector<Change>& changes, const std::string& checkpoint) {
  std::string refused;
  for (const Change& c : changes) {
    if (c.effect == Effect::refused) refused += "\n  " + text_of(c);
  }
  check(Exit::usage, refused.empty(),
        "{} cannot be continued with what has changed since; another --tag begins a new run:{}", checkpoint,
        refused);
  for (const Change& c : changes) {
    if (c.effect == Effect::none) log::info("changed since the checkpoint: {}", text_of(c));
    if (c.effect == Effect::course) log::warn("the run goes on with other settings: {}", text_of(c));
    if (c.effect == Effect::bits)
      log::warn("the last bits may differ from an uninterrupted run's: {}", text_of(c));
  }
}

}  // namespace trainer::train
