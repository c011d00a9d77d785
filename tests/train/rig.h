// A whole training run in memory: a linear model that learns y = x0 - 2 x1 + 1 from a few made-up samples.
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>
#include <thread>

#include "lib/config/config.h"
#include "lib/nn/layers.h"
#include "lib/train/batch_sum.h"
#include "lib/train/trainer.h"

namespace trainer::train {

/// `size` samples, f32 [2] -> f32 [1]. The inputs of the samples in `broken` are NaN.
class Line final : public data::Dataset {
 public:
  explicit Line(int64_t size, std::vector<int64_t> broken = {}) : size_(size), broken_(std::move(broken)) {}
  const data::Spec& spec() const override { return spec_; }
  int64_t size() const override { return size_; }
  void read(int64_t index, const Rng&, const data::Sample& into) const override {
    const Rng rng = Rng(7).fork("line");
    const auto i = static_cast<uint64_t>(index);
    for (size_t d = 0; d < 2; ++d) into.input[d] = 2 * rng.uniform(i, d) - 1;
    into.target[0] = into.input[0] - 2 * into.input[1] + 1;
    if (std::ranges::count(broken_, index) > 0) into.input[0] = std::numeric_limits<float>::quiet_NaN();
  }
  std::string name_of(int64_t index) const override { return fmt::format("line: sample {}", index); }

 private:
  data::Spec spec_{.input = {2}, .target_dtype = DType::f32, .target = {1}};
  int64_t size_;
  std::vector<int64_t> broken_;
};

class LinearModel final : public nn::Model {
 public:
  explicit LinearModel(bool normalise = false) {
    if (normalise) norm_.emplace(2);
  }
  Var forward(const Var& x) override { return head_(norm_ ? (*norm_)(x) : x); }
  std::vector<Var> features(const Var&) override { return {}; }
  std::string classifier() const override { return "head"; }
  void visit(nn::Visitor& v) override { v("norm", norm_), v("head", head_); }

 private:
  std::optional<nn::BatchNorm> norm_;
  nn::Linear head_{2, 1};
};

inline data::Loader make_loader(std::shared_ptr<const data::Dataset> dataset, int64_t batch,
                                bool drop_last = false, int rank = 0, int ranks = 1) {
  const data::Sampler sampler(
      {.size = dataset->size(), .batch_size = batch, .rank = rank, .world = ranks, .drop_last = drop_last});
  return {std::move(dataset), sampler, {.batch_size = batch, .num_workers = 0}};
}

/// Calls f(rank) in a thread for each rank and waits for all.
template <class F>
void on_ranks(int ranks, F&& f) {
  std::vector<std::thread> threads;
  for (int rank = 1; rank < ranks; ++rank) threads.emplace_back(f, rank);
  f(0);
  for (std::thread& t : threads) t.join();
}

inline std::unique_ptr<comm::Comm> alone() {
  return comm::make_comm({}, config::Config::defaults().group("COMM"), World{});
}

struct Rig {
  /// `batch` is this rank's. `seed` is of the initial weights. With `sync_bn` the model has a batch norm,
  /// over all ranks.
  Rig(const TrainerConfig& recipe, std::shared_ptr<const data::Dataset> dataset, int64_t batch,
      bool drop_last = false, std::unique_ptr<comm::Comm> ranks = alone(), uint64_t seed = 1,
      bool sync_bn = false, const nn::Precision& precision = {})
      : comm(std::move(ranks)),
        model(sync_bn),
        loader(make_loader(std::move(dataset), batch, drop_last, comm->rank(), comm->size())) {
    nn::initialize(model, seed);
    parameters.emplace(model, optim::GroupRules{}, std::nullopt, precision);
    const config::Config c = config::Config::defaults();
    optimizer = optim::optimizers().make("sgd", c.group("TRAIN.OPTIMIZER"), *parameters);
    schedule = optim::schedules().make("constant", c.group("TRAIN.LR_SCHEDULER"),
                                       optim::ScheduleArgs{.base_lr = 0.05});
    loss = nn::losses().make("mse", c.group("MODEL"));
    if (sync_bn) batch_sum.emplace(*comm);
    trainer.emplace(recipe, Parts{.model = model,
                                  .loss = *loss,
                                  .parameters = *parameters,
                                  .optimizer = *optimizer,
                                  .schedule = *schedule,
                                  .loader = loader,
                                  .comm = *comm,
                                  .batch_sum = batch_sum ? &*batch_sum : nullptr});
  }
  std::vector<float> values() const {
    const auto v = parameters->values().span<float>();
    return {v.begin(), v.end()};
  }

  std::unique_ptr<comm::Comm> comm;
  LinearModel model;
  data::Loader loader;
  std::optional<optim::Parameters> parameters;
  std::unique_ptr<optim::Optimizer> optimizer;
  std::unique_ptr<optim::Schedule> schedule;
  std::unique_ptr<nn::Loss> loss;
  std::optional<CommBatchSum> batch_sum;
  std::optional<Trainer> trainer;
};

/// Calls a function after each step.
template <class F>
class EachStep final : public Hook {
 public:
  explicit EachStep(F f) : f_(std::move(f)) {}
  void on_step(Trainer& trainer, const StepReport& report) override { f_(trainer, report); }

 private:
  F f_;
};
template <class F>
void each_step(Rig& rig, F f) {
  rig.trainer->add(std::make_unique<EachStep<F>>(std::move(f)));
}

}  // namespace trainer::train
