// Hooks watch a run: logging, progress, evaluation, saving. They observe; the training step itself is
// Trainer::step.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "lib/base/error.h"
#include "lib/checkpoint/archive.h"

namespace trainer::train {

/// The shape of the whole run, known before its first step.
struct Plan {
  int64_t epochs = 0, steps_per_epoch = 0, total_steps = 0;
  int64_t effective_batch = 0;  ///< samples of an optimizer step over all ranks and micro-batches
};

/// One optimizer step. Steps are counted from 1, epochs from 0.
struct StepReport {
  int64_t step = 0, epoch = 0;
  int64_t samples = 0;
  double loss = 0;  ///< mean over the step's samples
  double lr = 0;
  double grad_norm = 0;  ///< before clipping
  double loss_scale = 1, next_loss_scale = 1;
  bool updated = true;      ///< false: loss or gradient was not finite, and the step changed nothing
  int64_t skipped = 0;      ///< steps so far that changed nothing
  double seconds = 0;       ///< of this step, waiting for data included
  double data_seconds = 0;  ///< of it, waiting for data
};

/// The result of a pass over the validation data.
struct Evaluation {
  int64_t step = 0, epoch = 0;
  int64_t samples = 0;
  double loss = 0;
  std::vector<std::pair<std::string, double>> metrics = {};  ///< acc1, acc5
  /// What `best` goes by, higher is better: the first metric, negated if it is an error; the negative loss
  /// where there is none.
  double score = 0;
};

class Trainer;

class Hook {
 public:
  virtual ~Hook() = default;
  /// What a checkpoint keeps of this hook, under its name(); both directions in one function. Nothing if the
  /// name is empty.
  virtual std::string_view name() const { return {}; }
  virtual void state(checkpoint::Archive&) {}

  virtual void on_start(Trainer&) {}
  virtual void on_step(Trainer&, const StepReport&) {}
  /// After the last step of an epoch, or of the run.
  virtual void on_epoch_end(Trainer&) {}
  virtual void on_evaluation(Trainer&, const Evaluation&) {}
  /// Between two steps, after what the last one brought with it (an evaluation, say): what is saved here goes
  /// on exactly as this run does.
  virtual void on_boundary(Trainer&) {}
  /// The run has ended: the plan is done, or it was asked to stop.
  virtual void on_finish(Trainer&) {}
};

}  // namespace trainer::train
