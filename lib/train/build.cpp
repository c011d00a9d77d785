#include "lib/train/build.h"

#include <algorithm>
#include <set>

#include "lib/base/log.h"
#include "lib/base/text.h"
#include "lib/checkpoint/locate.h"
#include "lib/nn/adapter.h"
#include "lib/optim/lr_scaling.h"

namespace trainer::train {
namespace {

/// Swin's model types: built from a group of their own instead of a name.
constexpr std::string_view tree_types[] = {"swin", "swinv2", "swin_mlp", "swin_moe"};

void check_type(const std::string& type) {
  if (type == "auto") return;
  for (const auto known : tree_types) {
    check(Exit::usage, type != known, "MODEL.TYPE {}: this model is known but not implemented yet", type);
  }
  fail(Exit::usage, "MODEL.TYPE: unknown type '{}' (known: auto, swin, swinv2, swin_mlp, swin_moe)", type);
}

using Names = std::vector<std::string>;

std::string weights_path(const ModelSettings& s) {
  if (!s.pretrained.empty() || s.weights_dir.empty()) return s.pretrained;
  return (fs::path(s.weights_dir) / (s.name + ".safetensors")).string();
}

std::unique_ptr<nn::Model> make_model(const config::Config& config, const Settings& s, const Shape& sample) {
  check_type(s.model.type);
  return nn::models().make(s.model.name, config.group("MODEL"), sample);
}

/// The weights that a run begins with, on its device.
void fill(nn::Model& model, const Settings& s, Device device, const checkpoint::LoadOptions& options) {
  nn::initialize(model, static_cast<uint64_t>(s.run.seed));
  if (const std::string named = weights_path(s.model); !named.empty()) {
    const fs::path weights = checkpoint::find_weights(named);
    checkpoint::load_weights(model, weights, options);
    log::info("weights of {}", weights.string());
  }
  nn::move_to(model, device);
}

/// TRAIN.FREEZE.
void freeze(nn::Model& model, const std::vector<std::string>& patterns) {
  const std::string head = model.classifier() + ".";
  const auto all = nn::parameters(model);
  for (const std::string& pattern : patterns) {
    bool found = false;
    for (const auto& [name, p] : all) {
      const bool matches =
          pattern == "backbone" ? !p->internal && !name.starts_with(head) : has_components(name, pattern);
      p->frozen = p->frozen || matches;
      found = found || matches;
    }
    if (found) continue;
    std::set<std::string> known{"backbone"};
    for (const auto& [name, p] : all) {
      for (size_t at = name.find('.'); at != name.npos; at = name.find('.', at + 1))
        known.insert(name.substr(0, at));
    }
    const std::vector<std::string> words(known.begin(), known.end());
    fail(Exit::usage, "TRAIN.FREEZE: no parameter of the model is named '{}'{}", pattern,
         did_you_mean(pattern, words));
  }
  check(Exit::usage, std::ranges::any_of(all, [](const auto& p) { return !p.value->frozen; }),
        "TRAIN.FREEZE leaves nothing to train");
}

}  // namespace

Settings::Settings(const config::Config& c)
    : run(config::bind<RunSettings>(c.root())),
      model(config::bind<ModelSettings>(c.group("MODEL"))),
      train(config::bind<TrainSettings>(c.group("TRAIN"))),
      test(config::bind<TestSettings>(c.group("TEST"))),
      dataset(config::bind<data::DatasetConfig>(c.group("DATA"))),
      aug(config::bind<AugSettings>(c.group("AUG"))),
      amp(config::bind<AmpSettings>(c.root())),
      conv(config::bind<ConvSettings>(c.group("CONV"))),
      loader(config::bind<data::LoaderConfig>(c.group("DATA"))) {
  check(Exit::usage, !amp.simmim_enable || amp.enable,
        "ENABLE_AMP True contradicts AMP_ENABLE False: AMP_ENABLE alone switches mixed precision");
  check(Exit::usage, run.plugins.empty(),
        "PLUGINS: loading libraries of one's own is known but not implemented yet");
}

Device choose_device(const std::string& key, int local_rank) {
  constexpr auto cuda = Device::Kind::cuda;
  const auto has_cuda = [] { return has_backend(cuda) && backend(cuda).count() > 0; };
  if (key == "auto" && !has_cuda()) return {};
  Device device = Device::parse(key == "auto" ? "cuda" : key);
  if (key == "auto" || key == "cuda") device.index = local_rank;
  const int count = backend(device.kind).count();
  check(Exit::usage, device.index < count, "DEVICE {}: there is no {}, this machine has {} such device{}",
        key, device.str(), count, count == 1 ? "" : "s");
  return device;
}

nn::Precision choose_precision(const Settings& s, Device device) {
  return nn::parse_precision(s.amp.enable, s.amp.level, s.amp.dtype, device);
}

std::string run_path(const Settings& s) {
  return (fs::path(s.run.output.empty() ? "output" : s.run.output) / s.model.name / s.run.tag).string();
}

std::shared_ptr<const data::Dataset> build_dataset(const config::Config& config, const Settings& s,
                                                   data::Split split) {
  const data::Request request{.split = split,
                              .num_classes = config.get<int64_t>("MODEL.NUM_CLASSES"),
                              .channels = s.model.in_chans.value_or(0)};
  std::shared_ptr<const data::Dataset> dataset = data::make_dataset(config.root(), request);
  if (dataset->size() > 0 && s.model.in_chans && dataset->spec().input.rank() == 3) {
    check(Exit::usage, dataset->spec().input.back() == *s.model.in_chans,
          "MODEL.IN_CHANS is {}, but the data has {} channels", *s.model.in_chans,
          dataset->spec().input.back());
  }
  return dataset;
}

std::unique_ptr<data::Loader> build_loader(std::shared_ptr<const data::Dataset> dataset, const Settings& s,
                                           data::Split split, const Share& share) {
  const bool training = split == data::Split::train;
  const data::Sampler sampler({.size = dataset->size(),
                               .batch_size = s.loader.batch_size,
                               .rank = share.rank,
                               .world = share.world,
                               .shuffle = training && s.loader.shuffle,
                               .drop_last = training && s.loader.drop_last,
                               .seed = static_cast<uint64_t>(s.run.seed)});
  return std::make_unique<data::Loader>(std::move(dataset), sampler, s.loader);
}

std::unique_ptr<data::Loader> build_loader(std::shared_ptr<const data::Dataset> dataset, const Settings& s,
                                           data::Split split, const comm::Comm& comm) {
  return build_loader(std::move(dataset), s, split, Share{comm.rank(), comm.size()});
}

std::unique_ptr<nn::Model> build_model(const config::Config& config, const Settings& s, const Shape& sample,
                                       Device device, const checkpoint::LoadOptions& options) {
  auto model = make_model(config, s, sample);
  fill(*model, s, device, options);
  return model;
}

std::unique_ptr<nn::Model> build_trainable_model(const config::Config& config, const Settings& s,
                                                 const Shape& sample, Device device) {
  auto model = make_model(config, s, sample);
  nn::apply_adapters(*model, config.group("MODEL"));
  freeze(*model, s.train.freeze);
  fill(*model, s, device, {.replace_classifier = true});
  return model;
}

std::unique_ptr<nn::Loss> build_loss(const config::Config& config, const Settings& s,
                                     const data::Spec& spec) {
  const std::string name =
      s.train.loss != "auto" ? s.train.loss : (spec.is_classification() ? "cross_entropy" : "mse");
  return nn::losses().make(name, config.group("MODEL"));
}

Metrics build_metrics(const config::Config& config, const Settings& s, const data::Spec& spec) {
  std::vector<std::string> names = s.test.metrics;
  if (names.empty()) names = spec.is_classification() ? Names{"acc1", "acc5"} : Names{"mse", "mae"};
  std::vector<int64_t> none{0};  // samples
  none.insert(none.end(), spec.target.begin(), spec.target.end());
  const Tensor target = Tensor::empty(Shape(std::span<const int64_t>(none)), spec.target_dtype);
  const Tensor output =
      spec.is_classification() ? Tensor::empty({0, config.get<int64_t>("MODEL.NUM_CLASSES")}) : target;
  Metrics all;
  for (const std::string& name : names) {
    all.emplace_back(name, metrics::metrics().make(name, config.group("TEST")));
    try {
      all.back().second->update(output, target);  // rather than after the first epoch
    } catch (const Error& error) {
      fail(Exit::usage, "TEST.METRICS: {} is not for such data: {}", name, error.what());
    }
  }
  return all;
}

LearningRates scaled_rates(const TrainSettings& s, int64_t effective_batch) {
  const double factor = optim::lr_scale(s.lr_scaling, effective_batch, s.lr_reference_batch);
  return {s.base_lr * factor, s.warmup_lr * factor, s.min_lr * factor};
}

std::unique_ptr<optim::Schedule> build_schedule(const config::Config& config, const Settings& s,
                                                const Plan& plan) {
  const LearningRates rates = scaled_rates(s.train, plan.effective_batch);
  return optim::schedules().make(
      s.train.schedule, config.group("TRAIN.LR_SCHEDULER"),
      optim::ScheduleArgs{.base_lr = rates.base,
                          .warmup_lr = rates.warmup,
                          .min_lr = rates.min,
                          .warmup_steps = s.train.warmup_epochs * plan.steps_per_epoch,
                          .total_steps = plan.epochs * plan.steps_per_epoch,
                          .steps_per_epoch = plan.steps_per_epoch});
}

Training::Training(const config::Config& config, const Settings& s,
                   std::unique_ptr<data::Loader> training_loader, Device device, comm::Comm& comm)
    : loader(std::move(training_loader)) {
  const data::Spec& spec = loader->dataset().spec();
  const TrainerConfig recipe{.epochs = s.train.epochs,
                             .max_steps = s.train.max_steps,
                             .accumulation_steps = s.train.accumulation_steps,
                             .max_nonfinite = s.train.max_nonfinite,
                             .clip_grad = s.train.clip_grad,
                             .seed = static_cast<uint64_t>(s.run.seed)};
  check(Exit::usage, !s.aug.enable,
        "AUG.ENABLE true: random augmentation is known but not implemented yet; AUG.ENABLE false trains "
        "without it");
  model = build_trainable_model(config, s, spec.input, device);
  loss = build_loss(config, s, spec);
  parameters = std::make_unique<optim::Parameters>(
      *model, optim::GroupRules{.weight_decay = s.train.weight_decay, .no_decay = model->no_weight_decay()},
      device, choose_precision(s, device));
  optimizer = optim::optimizers().make(s.train.optimizer, config.group("TRAIN.OPTIMIZER"), *parameters);
  schedule = build_schedule(config, s, make_plan(recipe, *loader));
  if (s.train.sync_bn && comm.size() > 1) batch_sum = std::make_unique<CommBatchSum>(comm);
  trainer = std::make_unique<Trainer>(recipe, Parts{.model = *model,
                                                    .loss = *loss,
                                                    .parameters = *parameters,
                                                    .optimizer = *optimizer,
                                                    .schedule = *schedule,
                                                    .loader = *loader,
                                                    .comm = comm,
                                                    .batch_sum = batch_sum.get()});
}

}  // namespace trainer::train
