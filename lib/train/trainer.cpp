#include "lib/train/trainer.h"

#include <algorithm>
#include <cmath>

#include "lib/base/log.h"
#include "lib/base/system.h"
#include "lib/ops/flat.h"
#include "lib/optim/clip.h"

namespace trainer::train {
namespace {

/// A NaN has a sign bit, which says nothing.
std::string text_of(double v) { return std::isnan(v) ? "nan" : fmt::format("{:.4g}", v); }

}  // namespace

Plan make_plan(const TrainerConfig& c, const data::Loader& loader) {
  Plan plan;
  plan.steps_per_epoch = (loader.batches_per_epoch() + c.accumulation_steps - 1) / c.accumulation_steps;
  plan.total_steps = plan.steps_per_epoch * c.epochs;
  if (c.max_steps > 0) plan.total_steps = std::min(plan.total_steps, c.max_steps);
  plan.epochs =
      plan.steps_per_epoch == 0 ? 0 : (plan.total_steps + plan.steps_per_epoch - 1) / plan.steps_per_epoch;
  plan.effective_batch = loader.sampler().global_batch() * c.accumulation_steps;
  return plan;
}

Trainer::Trainer(const TrainerConfig& config, nn::Model& model, const nn::Loss& loss,
                 optim::Parameters& parameters, optim::Optimizer& optimizer, const optim::Schedule& schedule,
                 data::Loader& loader, Device device)
    : config_(config),
      model_(model),
      loss_(loss),
      parameters_(parameters),
      optimizer_(optimizer),
      schedule_(schedule),
      loader_(loader),
      device_(device),
      plan_(make_plan(config, loader)),
      control_(Tensor::zeros({ops::Control::size}, DType::f64, device)) {
  context_.seed = config.seed;
  nn::attach(model_, context_);
}

void Trainer::add(std::unique_ptr<Hook> hook) { hooks_.push_back(std::move(hook)); }

void Trainer::report(const Evaluation& evaluation) {
  last_evaluation_ = evaluation;
  for (auto& hook : hooks_) hook->on_evaluation(*this, evaluation);
}

void Trainer::run() {
  for (auto& hook : hooks_) hook->on_start(*this);
  data::Batch batch;
  for (; step_ < plan_.total_steps && !stopped_; ++epoch_) {
    loader_.start(epoch_);
    const int64_t end_of_epoch = std::min((epoch_ + 1) * plan_.steps_per_epoch, plan_.total_steps);
    while (step_ < end_of_epoch && !stopped_) {
      const double begin = now();
      StepReport report = step(batch);
      report.seconds = now() - begin;
      check_convergence(report);
      for (auto& hook : hooks_) hook->on_step(*this, report);
    }
    for (auto& hook : hooks_) hook->on_epoch_end(*this);
  }
  for (auto& hook : hooks_) hook->on_finish(*this);
}

// One optimizer step: forward and backward for each micro-batch, then clip and update.
StepReport Trainer::step(data::Batch& batch) {
  StepReport report{.step = ++step_, .epoch = epoch_, .lr = schedule_.lr(step_ - 1)};
  context_.training = true;
  context_.step = static_cast<uint64_t>(step_);
  parameters_.zero_grad();

  int64_t window = 0;  // samples of the whole step, known with its first micro-batch
  for (int64_t micro = 0; micro < config_.accumulation_steps; ++micro) {
    const double waiting = now();
    if (!loader_.next(batch)) break;  // the epoch's last step may have fewer micro-batches
    report.data_seconds += now() - waiting;
    if (micro == 0) window = loader_.sampler().samples(batch.position, config_.accumulation_steps);

    context_.first_row = report.samples + batch.first_row;
    const Var output = model_(Var(batch.input.to(device_)));
    const Var loss = loss_(output, batch.target.to(device_));
    const double weight = static_cast<double>(batch.size()) / static_cast<double>(window);
    loss.backward(Tensor::full({}, weight, loss.value().dtype(), device_));

    report.loss += weight * loss.value().item();
    report.samples += batch.global_size;
  }

  const Tensor control =
      Tensor::of<double>(std::array{report.lr, 1.0, static_cast<double>(updates_ + 1)}, {ops::Control::size});
  control_.copy_from(control.to(device_));
  report.grad_norm = std::sqrt(optim::clip_by_norm(parameters_, control_, config_.clip_grad).item());
  if (std::isfinite(report.loss) && std::isfinite(report.grad_norm)) {
    optimizer_.update(control_);
    ++updates_;
    nonfinite_in_a_row_ = 0;
  } else {  // an update would spread NaN over all weights
    ++skipped_;
    ++nonfinite_in_a_row_;
  }
  report.skipped = skipped_;
  return report;
}

void Trainer::check_convergence(const StepReport& report) {
  if (report.step == 1) {
    for (const std::string& name : parameters_.without_gradient()) {
      log::warn(
          "parameter {} received no gradient in the first step: nothing that the loss depends on uses it",
          name);
    }
  }
  if (nonfinite_in_a_row_ >= config_.max_nonfinite) {
    fail(Exit::diverged,
         "training diverged: loss {} and gradient norm {} at step {}, not finite for {} steps in a row "
         "(learning rate {:.3g}). "
         "A lower TRAIN.BASE_LR, a longer TRAIN.WARMUP_EPOCHS or a smaller TRAIN.CLIP_GRAD may help",
         text_of(report.loss), text_of(report.grad_norm), report.step, nonfinite_in_a_row_, report.lr);
  }
}

}  // namespace trainer::train
