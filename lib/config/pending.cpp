// The table of pending keys, with Swin's defaults. A row is removed when a component declares its key.
#include "lib/config/pending.h"

#include <fmt/core.h>

#include <algorithm>
#include <initializer_list>

#include "lib/config/problems.h"
#include "lib/config/raw_value.h"

namespace trainer::config {
namespace {

using List = Value::List;

/// What happens to a value other than the default.
enum class Effect { none, refused };

struct Row {
  std::string_view key;
  Value default_value;
  Effect effect;
  std::string_view help;
};

/// Rows below one group, and the values of a key that make them matter ("" for always).
struct Table {
  std::string_view group, switch_key;
  std::vector<Value> switch_values;
  std::vector<Row> rows;
};

std::vector<Row> operator+(std::vector<Row> rows, const std::vector<Row>& more) {
  rows.insert(rows.end(), more.begin(), more.end());
  return rows;
}

const std::vector<Row> swin_common = {
    {"PATCH_SIZE", 4, Effect::refused, "side of a patch, pixels"},
    {"IN_CHANS", 3, Effect::refused, "input channels"},
    {"EMBED_DIM", 96, Effect::refused, "channels of the first stage; each stage doubles them"},
    {"DEPTHS", List{2, 2, 6, 2}, Effect::refused, "blocks of each stage"},
    {"NUM_HEADS", List{3, 6, 12, 24}, Effect::refused, "attention heads of each stage"},
    {"WINDOW_SIZE", 7, Effect::refused, "side of a window, patches"},
    {"MLP_RATIO", 4.0, Effect::refused, "hidden channels of the MLP per channel"},
    {"APE", false, Effect::refused, "absolute position embedding"},
    {"PATCH_NORM", true, Effect::refused, "normalise after the patch embedding"},
};
const std::vector<Row> qkv_bias = {
    {"QKV_BIAS", true, Effect::refused, "bias in the query, key and value projection"}};
const std::vector<Row> qk_scale = {
    {"QK_SCALE", {}, Effect::refused, "scale of the attention logits; None: 1/sqrt(head size)"}};
const std::vector<Row> pretrained_windows = {{"PRETRAINED_WINDOW_SIZES", List{0, 0, 0, 0}, Effect::refused,
                                              "window of each stage when pretrained; 0: as now"}};
const std::vector<Row> mixture_of_experts = {
    {"MLP_FC2_BIAS", true, Effect::refused, "bias in the second linear layer of the MLP"},
    {"INIT_STD", 0.02, Effect::refused, "standard deviation of the initial weights"},
    {"MOE_BLOCKS", List{List{-1}, List{-1}, List{-1}, List{-1}}, Effect::refused,
     "blocks of each stage with experts; -1: none"},
    {"NUM_LOCAL_EXPERTS", 1, Effect::refused, "experts on each device; -n: one expert over n devices"},
    {"TOP_VALUE", 1, Effect::refused, "experts that each token goes to"},
    {"CAPACITY_FACTOR", 1.25, Effect::refused, "room of each expert over an even share of tokens"},
    {"COSINE_ROUTER", false, Effect::refused, "route by cosine similarity"},
    {"NORMALIZE_GATE", false, Effect::refused, "normalise the gates of a token's experts to sum 1"},
    {"USE_BPR", true, Effect::refused, "batch prioritised routing"},
    {"IS_GSHARD_LOSS", false, Effect::refused, "GShard's load balancing loss instead of the default"},
    {"GATE_NOISE", 1.0, Effect::refused, "standard deviation of the noise on the gate"},
    {"COSINE_ROUTER_DIM", 256, Effect::refused, "channels that the cosine router projects to"},
    {"COSINE_ROUTER_INIT_T", 0.5, Effect::refused, "initial temperature of the cosine router"},
    {"MOE_DROP", 0.0, Effect::refused, "drop rate inside the experts"},
    {"AUX_LOSS_WEIGHT", 0.01, Effect::refused, "weight of the load balancing loss"},
};

const std::vector<Table>& tables() {
  static const std::vector<Table> all = {
      // auto too: Swin's own default is swin, and a file that sets these without MODEL.TYPE means it.
      {"MODEL.SWIN", "MODEL.TYPE", {"swin", "auto"}, swin_common + qkv_bias + qk_scale},
      {"MODEL.SWINV2", "MODEL.TYPE", {"swinv2"}, swin_common + qkv_bias + pretrained_windows},
      {"MODEL.SWIN_MLP", "MODEL.TYPE", {"swin_mlp"}, swin_common},
      {"MODEL.SWIN_MOE",
       "MODEL.TYPE",
       {"swin_moe"},
       swin_common + qkv_bias + qk_scale + pretrained_windows + mixture_of_experts},
      {"MODEL.SIMMIM.NORM_TARGET",
       "",
       {},
       {
           {"ENABLE", false, Effect::refused, "SimMIM: normalise the target by its neighbourhood"},
           {"PATCH_SIZE", 47, Effect::none, "SimMIM: side of that neighbourhood, pixels"},
       }},
      {"AUG",
       "AUG.ENABLE",
       {true},
       {
           {"COLOR_JITTER", 0.4, Effect::refused, "strength of colour jitter where AUTO_AUGMENT is none"},
           {"AUTO_AUGMENT", "rand-m9-mstd0.5-inc1", Effect::refused, "timm's name of a policy, or none"},
           {"REPROB", 0.25, Effect::refused, "probability of random erasing"},
           {"REMODE", "pixel", Effect::refused, "what is erased with: const, rand or pixel"},
           {"RECOUNT", 1, Effect::refused, "rectangles that are erased"},
           {"MIXUP", 0.8, Effect::refused, "alpha of mixup; 0: off"},
           {"CUTMIX", 1.0, Effect::refused, "alpha of CutMix; 0: off"},
           {"CUTMIX_MINMAX",
            {},
            Effect::refused,
            "smallest and largest side of CutMix' rectangle, relative; None: by CUTMIX"},
           {"MIXUP_PROB", 1.0, Effect::refused, "probability that a batch is mixed"},
           {"MIXUP_SWITCH_PROB", 0.5, Effect::refused, "probability of CutMix where both are on"},
           {"MIXUP_MODE", "batch", Effect::refused, "one mixture for each batch, pair or elem"},
       }},
      {"DATA",
       "",
       {},
       {
           {"INTERPOLATION", "bicubic", Effect::refused,
            "how images are resized: bicubic, bilinear, nearest, random"},
           {"ZIP_MODE", false, Effect::refused, "images lie in a zip file"},
           {"CACHE_MODE", "part", Effect::none, "what of a zip file is kept in memory: no, part or full"},
           {"MASK_PATCH_SIZE", 32, Effect::none, "SimMIM: side of a masked patch, pixels"},
           {"MASK_RATIO", 0.6, Effect::none, "SimMIM: share of patches that are masked"},
       }},
      {"TEST",
       "",
       {},
       {
           {"CROP", true, Effect::refused,
            "evaluate on the centre of an image resized to 256/224 of its size; else resize exactly"},
           {"SEQUENTIAL", false, Effect::none, "evaluate in the data set's order"},
           {"SHUFFLE", false, Effect::none, "evaluate in random order"},
       }},
      {"TRAIN",
       "",
       {},
       {
           {"START_EPOCH", 0, Effect::refused, "first epoch"},
           {"USE_CHECKPOINT", false, Effect::none,
            "recompute activations in the backward pass to save memory"},
           {"LAYER_DECAY", 1.0, Effect::refused,
            "factor on the learning rate from each layer to the one before"},
           {"MOE.SAVE_MASTER", false, Effect::none, "mixture of experts: rank 0 saves for all"},
       }},
      {"",
       "",
       {},
       {
           {"EVAL_MODE", false, Effect::refused, "evaluate only"},
           {"THROUGHPUT_MODE", false, Effect::refused, "measure throughput only"},
           {"FUSED_WINDOW_PROCESS", false, Effect::none,
            "fused window partition and shift: the same numbers, faster"},
           {"FUSED_LAYERNORM", false, Effect::none, "fused layer normalisation: the same numbers, faster"},
           {"CUDNN.BENCHMARK", true, Effect::none, "CUDA: choose algorithms by measuring"},
           {"CUDNN.DETERMINISTIC", false, Effect::none, "CUDA: deterministic algorithms only"},
           {"TF32", true, Effect::none, "CUDA: TensorFloat-32 in f32 products"},
       }},
  };
  return all;
}

[[maybe_unused]] const bool declared = [] {
  for (const Table& table : tables()) {
    for (const Row& row : table.rows) {
      declare({.key = join_key(table.group, row.key),
               .type = type_of(row.default_value),
               .default_value = row.default_value,
               .help = std::string(row.help),
               .unsupported = true});
    }
  }
  return true;
}();

bool matters(const Table& table, const Config& config, Use use) {
  const bool for_training = table.group == "AUG" || table.group == "TRAIN";
  if (for_training && use != Use::training) return false;
  if (table.switch_key.empty()) return true;
  const Node* leaf = config.root().find(table.switch_key);
  return leaf && std::ranges::find(table.switch_values, leaf->value()) != table.switch_values.end();
}

}  // namespace

std::vector<std::string> check_pending(const Config& config, Use use) {
  Problems problems;
  std::vector<std::string> notices = check_pending(config, use, problems);
  problems.raise();
  return notices;
}

std::vector<std::string> check_pending(const Config& config, Use use, Problems& problems) {
  std::vector<std::string> notices;
  for (const Table& table : tables()) {
    if (!matters(table, config, use)) continue;
    for (const Row& row : table.rows) {
      const Node& leaf = config.group(join_key(table.group, row.key));
      if (!leaf.declaration().unsupported) continue;
      leaf.read();  // spoken of here, so not one of Config::unread()
      if (leaf.value() == row.default_value) continue;
      if (row.effect == Effect::none) {
        notices.push_back(
            fmt::format("{}: {}: known but not implemented yet; it changes no result and is ignored",
                        leaf.origin().str(), leaf.path()));
      } else {
        problems.add(leaf.origin(), leaf.path(),
                     "known but not implemented yet, given " + describe(leaf.value()));
      }
    }
  }
  return notices;
}

}  // namespace trainer::config
