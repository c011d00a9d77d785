// Trainer: the loop over epochs and steps. The step stands on one screen in trainer.cpp.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "lib/data/loader.h"
#include "lib/nn/loss.h"
#include "lib/nn/model.h"
#include "lib/optim/optimizer.h"
#include "lib/optim/parameters.h"
#include "lib/optim/schedule.h"
#include "lib/train/hook.h"

namespace trainer::train {

struct TrainerConfig {
  int64_t epochs = 1;
  int64_t max_steps = 0;  ///< 0: by epochs
  int64_t accumulation_steps = 1;
  int64_t max_nonfinite = 3;
  double clip_grad = 0;  ///< 0: off
  uint64_t seed = 0;
};

/// The plan of a run over a loader's data.
Plan make_plan(const TrainerConfig&, const data::Loader&);

class Trainer {
 public:
  /// `model`'s parameters must be those of `parameters`.
  Trainer(const TrainerConfig&, nn::Model& model, const nn::Loss& loss, optim::Parameters& parameters,
          optim::Optimizer& optimizer, const optim::Schedule& schedule, data::Loader& loader, Device device);

  /// Hooks are called in the order in which they were added.
  void add(std::unique_ptr<Hook>);

  /// Trains to the end of the plan, or until a hook asks to stop. Throws Error(Exit::diverged) after
  /// max_nonfinite steps in a row whose loss or gradient was not finite.
  void run();

  /// Ends the run after the current step.
  void stop() { stopped_ = true; }

  const Plan& plan() const { return plan_; }
  int64_t step() const { return step_; }  ///< optimizer steps done
  int64_t epoch() const { return epoch_; }
  nn::Model& model() { return model_; }
  nn::Context& context() { return context_; }
  Device device() const { return device_; }
  /// Tells all hooks; called by the hook that evaluates.
  void report(const Evaluation&);
  const std::optional<Evaluation>& last_evaluation() const { return last_evaluation_; }

 private:
  StepReport step(data::Batch& batch);
  void check_convergence(const StepReport&);

  TrainerConfig config_;
  nn::Model& model_;
  const nn::Loss& loss_;
  optim::Parameters& parameters_;
  optim::Optimizer& optimizer_;
  const optim::Schedule& schedule_;
  data::Loader& loader_;
  Device device_;
  Plan plan_;
  nn::Context context_;
  Tensor control_;  // ops::Control
  std::vector<std::unique_ptr<Hook>> hooks_;
  int64_t step_ = 0, epoch_ = 0, updates_ = 0, skipped_ = 0, nonfinite_in_a_row_ = 0;
  bool stopped_ = false;
  std::optional<Evaluation> last_evaluation_;
};

}  // namespace trainer::train
