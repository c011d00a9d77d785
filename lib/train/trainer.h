// Trainer: the loop over epochs and steps. The step stands on one screen in trainer.cpp.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "lib/base/signals.h"
#include "lib/checkpoint/archive.h"
#include "lib/comm/comm.h"
#include "lib/data/loader.h"
#include "lib/nn/loss.h"
#include "lib/nn/model.h"
#include "lib/optim/optimizer.h"
#include "lib/optim/parameters.h"
#include "lib/optim/schedule.h"
#include "lib/train/gradient_sum.h"
#include "lib/train/hook.h"
#include "lib/train/loss_scale.h"

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

/// What a Trainer works with. All of it has to outlive the Trainer.
struct Parts {
  nn::Model& model;
  const nn::Loss& loss;
  optim::Parameters& parameters;  ///< the model's
  optim::Optimizer& optimizer;
  const optim::Schedule& schedule;
  data::Loader& loader;  ///< this rank's
  comm::Comm& comm;
  autograd::BatchSum* batch_sum = nullptr;  ///< SyncBN: over the same ranks, beside `comm`
};

class Trainer {
 public:
  /// On the parameters' device.
  Trainer(const TrainerConfig&, const Parts&);

  /// Hooks are called in the order in which they were added.
  void add(std::unique_ptr<Hook>);

  /// Trains to the end of the plan, or until somebody asks to stop. Throws Error(Exit::diverged) after
  /// max_nonfinite steps in a row whose loss or gradient was not finite, not counting those that a smaller loss scale
  /// may yet mend.
  void run();

  /// Ends the run after the current step. To be called on all ranks.
  void stop() { stopped_ = true; }
  bool stopped() const { return stopped_; }
  /// Requests of any rank's process (lib/base/signals.h), the same on every rank, as of the last step or
  /// leaves_early(). A request to stop also stops this Trainer.
  const signals::Requests& requests() const { return requests_; }
  /// True if any rank was asked to stop: long work at the end of an epoch (an evaluation) is then given up,
  /// and done when the run is resumed. False after the last step of the run. A collective: all ranks call it.
  bool leaves_early();

  /// The counters of the run and the state of all hooks, both directions: for checkpoints. Weights, buffers
  /// and optimizer state are tensors, which run_state() adds (lib/train/run_state.h).
  void state(checkpoint::Archive&);

  const Plan& plan() const { return plan_; }
  int64_t step() const { return step_; }  ///< optimizer steps done
  int64_t epoch() const { return epoch_; }
  /// Nothing is left to do.
  bool finished() const { return step_ >= plan_.total_steps && !end_of_epoch_due_; }
  const Parts& parts() const { return parts_; }
  nn::Context& context() { return context_; }
  Device device() const { return device_; }
  /// Tells all hooks; called by the hook that evaluates.
  void report(const Evaluation&);
  const std::optional<Evaluation>& last_evaluation() const { return last_evaluation_; }

 private:
  StepReport step(data::Batch& batch);
  double next(data::Batch& batch);
  void end_epoch();
  void check_convergence(const StepReport&);
  int64_t steps_into_epoch() const { return step_ - epoch_ * plan_.steps_per_epoch; }

  TrainerConfig config_;
  Parts parts_;
  Device device_;
  Plan plan_;
  nn::Context context_;
  GradientSum gradient_sum_;
  Tensor control_;  // ops::Control
  LossScale scale_;
  std::vector<Storage> weights_;  // what is constant over the micro-batches of a step
  std::vector<std::unique_ptr<Hook>> hooks_;
  int64_t step_ = 0, epoch_ = 0;
  int64_t position_ = 0;  // samples of the epoch's order that have been used
  /// The last step ended an epoch or the run, and the hooks have still to be told.
  bool end_of_epoch_due_ = false;
  int64_t updates_ = 0, skipped_ = 0;
  int64_t nonfinite_in_a_row_ = 0;  // with a scaled loss: at the least scale
  bool stopped_ = false;
  signals::Requests requests_;
  std::optional<Evaluation> last_evaluation_;
};

}  // namespace trainer::train
