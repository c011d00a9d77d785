// The keys that belong to the run as a whole; components declare their own.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "lib/config/fields.h"

namespace trainer::train {

/// Root keys.
struct RunSettings {
  std::string output = {}, tag = "default";
  int64_t seed = 0;
  int64_t print_freq = 10;
  std::string device = "auto";
  std::optional<int64_t> threads = {};
  bool deterministic = false;
  std::vector<std::string> plugins = {};
  int64_t local_rank = 0;
  int64_t save_freq = 1, save_steps = 0, save_keep = 3;
  void fields(config::Fields&);
};

/// MODEL: which model, from where.
struct ModelSettings {
  std::string type = "auto", name = "swin_tiny_patch4_window7_224";
  std::string pretrained, weights_dir, resume;
  std::optional<int64_t> in_chans;
  void fields(config::Fields&);
};

/// TRAIN: the recipe.
struct TrainSettings {
  int64_t epochs = 300, warmup_epochs = 20, max_steps = 0, accumulation_steps = 1, max_nonfinite = 3;
  double base_lr = 5e-4, warmup_lr = 5e-7, min_lr = 5e-6, weight_decay = 0.05, clip_grad = 5.0;
  std::string lr_scaling = "linear";
  int64_t lr_reference_batch = 512;
  std::string loss = "auto", optimizer = "adamw", schedule = "cosine";
  bool auto_resume = true, sync_bn = false;
  std::vector<std::string> freeze = {};
  void fields(config::Fields&);
};

/// Mixed precision (lib/nn/precision.h).
struct AmpSettings {
  bool enable = true, simmim_enable = false;
  std::string level = {}, dtype = "auto";
  void fields(config::Fields&);
};

/// TEST: how a model is judged.
struct TestSettings {
  std::vector<std::string> metrics;
  void fields(config::Fields&);
};

/// CONV: how convolutions are computed.
struct ConvSettings {
  bool winograd = true;
  void fields(config::Fields&);
};

/// AUG: random augmentation of training images.
struct AugSettings {
  bool enable = true;
  void fields(config::Fields&);
};

}  // namespace trainer::train
