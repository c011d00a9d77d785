// Model: a Module that the program can name, build from a configuration, and take features from.
//
//   const auto model = models().make("resnet18", config.group("MODEL"), Shape{224, 224, 3});
//   initialize(*model, seed);
//   const Var logits = (*model)(Var(images));    // [N, 224, 224, 3] -> [N, MODEL.NUM_CLASSES]
#pragma once

#include "lib/config/fields.h"
#include "lib/nn/module.h"
#include "lib/registry/registry.h"

namespace trainer::nn {

class Model : public Module {
 public:
  /// x [N, input...] -> logits or predictions [N, num_classes].
  Var forward(const Var& x) override = 0;
  /// The outputs of the model's stages, earliest first (timm's features_only): maps [N, H, W, C] or vectors
  /// [N, C].
  virtual std::vector<Var> features(const Var& x) = 0;
  /// Path of the last linear layer ("fc"), whose shape follows the number of classes.
  virtual std::string classifier() const = 0;
  /// Parameters that weight decay should leave alone beside biases and norms (timm's no_weight_decay()):
  /// whole components of their names, as "pos_embed".
  virtual std::vector<std::string> no_weight_decay() const { return {}; }
};

/// Keys that every family reads, in the group MODEL.
struct ModelConfig {
  int64_t num_classes = 1000;
  double drop_rate = 0.0;

  void fields(config::Fields& f) {
    f("NUM_CLASSES", num_classes, "outputs of the classifier", {.min = 1});
    f("DROP_RATE", drop_rate, "dropout before the classifier", {.min = 0, .max = 0.999});
  }
};

/// The same for families with residual branches.
struct ResidualModelConfig : ModelConfig {
  double drop_path_rate = 0.1;

  void fields(config::Fields& f) {
    ModelConfig::fields(f);
    f("DROP_PATH_RATE", drop_path_rate,
      "stochastic depth: the last block's rate; earlier blocks less, linearly", {.min = 0, .max = 0.999});
  }
};

/// The channels of a sample [H, W, C]. Throws Error(Exit::usage) in the model's name ("a ResNet") for samples
/// of another rank.
int64_t image_channels(const Shape& sample, std::string_view model);

/// Families register each of their names here: lib/models/<family>.cpp. The argument is the shape of one
/// sample, [H, W, C] or [D].
Registry<Model, const Shape&>& models();

}  // namespace trainer::nn
