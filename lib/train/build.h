// From a merged configuration to the objects that it names. Nothing here computes; each function builds one
// thing.
#pragma once

#include <memory>
#include <optional>

#include "lib/checkpoint/weights.h"
#include "lib/config/config.h"
#include "lib/data/loader.h"
#include "lib/nn/loss.h"
#include "lib/nn/model.h"
#include "lib/optim/optimizer.h"
#include "lib/optim/parameters.h"
#include "lib/optim/schedule.h"
#include "lib/train/batch_sum.h"
#include "lib/train/evaluate.h"
#include "lib/train/settings.h"
#include "lib/train/trainer.h"

namespace trainer::train {

/// The run's own keys, bound.
struct Settings {
  explicit Settings(const config::Config&);
  RunSettings run;
  ModelSettings model;
  TrainSettings train;
  TestSettings test;
  data::DatasetConfig dataset;
  AugSettings aug;
  AmpSettings amp;
  ConvSettings conv;
  data::LoaderConfig loader;
};

/// auto is CUDA where there is a device, else the CPU; auto and cuda take the device of this process' local
/// rank. Throws Error(Exit::usage) if the device is not there.
Device choose_device(const std::string& key, int local_rank = 0);

nn::Precision choose_precision(const Settings&, Device);

/// OUTPUT/MODEL.NAME/TAG.
std::string run_path(const Settings&);

std::shared_ptr<const data::Dataset> build_dataset(const config::Config&, const Settings&, data::Split);
/// A rank's part of the data.
struct Share {
  int64_t rank = 0, world = 1;
};
/// Training: shuffled as the keys say. Validation: in order, nothing dropped.
std::unique_ptr<data::Loader> build_loader(std::shared_ptr<const data::Dataset>, const Settings&, data::Split,
                                           const Share&);
/// This rank's part.
std::unique_ptr<data::Loader> build_loader(std::shared_ptr<const data::Dataset>, const Settings&, data::Split,
                                           const comm::Comm&);

/// The model for samples of a shape, initialised from SEED on the host, then from PRETRAINED if that is set,
/// then moved to the device.
std::unique_ptr<nn::Model> build_model(const config::Config&, const Settings&, const Shape& sample, Device,
                                       const checkpoint::LoadOptions& = {.replace_classifier = true});

/// The same for training: with adapters (MODEL.LORA, ...), and frozen where TRAIN.FREEZE says so.
std::unique_ptr<nn::Model> build_trainable_model(const config::Config&, const Settings&, const Shape& sample,
                                                 Device);

/// TRAIN.LOSS; auto follows the data.
std::unique_ptr<nn::Loss> build_loss(const config::Config&, const Settings&, const data::Spec&);

/// TEST.METRICS; empty follows the data. Throws Error(Exit::usage) for a metric that is not one of such data.
Metrics build_metrics(const config::Config&, const Settings&, const data::Spec&);

/// The learning rates of this run after LR_SCALING, and the schedule over `plan`.
struct LearningRates {
  double base = 0, warmup = 0, min = 0;
};
LearningRates scaled_rates(const TrainSettings&, int64_t effective_batch);
std::unique_ptr<optim::Schedule> build_schedule(const config::Config&, const Settings&, const Plan&);

/// The parts of a training run, in the order in which they are built. Members refer to earlier ones.
struct Training {
  /// `loader` of the training split, this rank's part of it.
  Training(const config::Config&, const Settings&, std::unique_ptr<data::Loader> loader, Device, comm::Comm&);
  std::unique_ptr<data::Loader> loader;
  std::unique_ptr<nn::Model> model;
  std::unique_ptr<nn::Loss> loss;
  std::unique_ptr<optim::Parameters> parameters;
  std::unique_ptr<optim::Optimizer> optimizer;
  std::unique_ptr<optim::Schedule> schedule;
  std::unique_ptr<CommBatchSum> batch_sum;  // SyncBN
  std::unique_ptr<Trainer> trainer;
};

}  // namespace trainer::train
