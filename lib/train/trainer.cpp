#include "lib/train/trainer.h"

#include <algorithm>
#include <cmath>

#include "lib/base/board.h"
#include "lib/base/log.h"
#include "lib/base/system.h"
#include "lib/ops/flat.h"
#include "lib/optim/clip.h"
#include "lib/tensor/constant_weights.h"
#include "lib/train/divergence.h"

namespace trainer::train {

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

Trainer::Trainer(const TrainerConfig& config, const Parts& parts)
    : config_(config),
      parts_(parts),
      device_(parts.parameters.values().device()),
      plan_(make_plan(config, parts.loader)),
      gradient_sum_(parts.comm, parts.parameters),
      control_(Tensor::zeros({ops::Control::size}, DType::f64, device_)),
      scale_(parts.parameters.precision().scales_loss()),
      weights_(nn::memory_of_weights(parts.model)) {
  context_.seed = config.seed;
  context_.batch_sum = parts.batch_sum;
  nn::attach(parts_.model, context_);
}

void Trainer::add(std::unique_ptr<Hook> hook) { hooks_.push_back(std::move(hook)); }

void Trainer::report(const Evaluation& evaluation) {
  last_evaluation_ = evaluation;
  for (auto& hook : hooks_) hook->on_evaluation(*this, evaluation);
}

void Trainer::run() {
  parts_.parameters.update_all_copies();
  for (auto& hook : hooks_) hook->on_start(*this);
  parts_.loader.start(epoch_, position_);
  data::Batch batch;
  while (!finished() && !stopped_) {
    if (!end_of_epoch_due_) {
      const double begin = now();
      StepReport report = step(batch);
      report.seconds = now() - begin;
      end_of_epoch_due_ = steps_into_epoch() == plan_.steps_per_epoch || step_ == plan_.total_steps;
      for (auto& hook : hooks_) hook->on_step(*this, report);
      check_convergence(report);
    }
    if (end_of_epoch_due_ && !leaves_early()) {
      for (auto& hook : hooks_) hook->on_epoch_end(*this);
      // Not asked anew: a hook has given up if it was told to, and only then its work is still to be done.
      if (requests_.stop == 0 || step_ == plan_.total_steps) end_epoch();
    }
    for (auto& hook : hooks_) hook->on_boundary(*this);
    requests_.save = false;
  }
  for (auto& hook : hooks_) hook->on_finish(*this);
}

void Trainer::end_epoch() {
  end_of_epoch_due_ = false;
  if (steps_into_epoch() < plan_.steps_per_epoch) return;  // the run ends in the middle of one
  ++epoch_;
  position_ = 0;
  if (!finished()) parts_.loader.start(epoch_);
}

bool Trainer::leaves_early() {
  if (step_ == plan_.total_steps) return false;  // what is left is an evaluation: then the run is finished
  const signals::Requests more = signals::take();
  if (requests_.stop == 0) requests_.stop = more.stop;
  requests_.save = requests_.save || more.save;
  gradient_sum_.agree(requests_);
  stopped_ = stopped_ || requests_.stop != 0;
  return requests_.stop != 0;
}

// One optimizer step: forward and backward for each micro-batch, the sum over the ranks, then clip and
// update.
StepReport Trainer::step(data::Batch& batch) {
  StepReport report{
      .step = ++step_, .epoch = epoch_, .lr = parts_.schedule.lr(step_ - 1), .loss_scale = scale_.value()};
  context_.training = true;
  context_.step = static_cast<uint64_t>(step_);
  parts_.parameters.zero_grad();

  const data::Sampler& sampler = parts_.loader.sampler();
  const int64_t micro_batches = std::min(config_.accumulation_steps, sampler.batches(position_));
  const auto window = static_cast<double>(sampler.samples(position_, micro_batches));
  std::optional<ConstantWeights> constant;  // a single batch would only hold on to copies
  if (micro_batches > 1) constant.emplace(weights_);
  for (int64_t micro = 1; micro <= micro_batches; ++micro) {
    report.data_seconds += next(batch);
    context_.first_row = report.samples + batch.first_row;
    context_.batch_size = batch.global_size;
    report.samples += batch.global_size;
    GradientListener* const listener = gradient_sum_.backward(micro == micro_batches);
    if (batch.size() == 0 && parts_.batch_sum == nullptr) continue;  // a last batch with too few samples

    const Var output = parts_.model(Var(batch.input.to(device_)));
    const Var loss = parts_.loss(output, batch.target.to(device_));
    const double weight = static_cast<double>(batch.size()) / window;
    loss.backward(Tensor::full({}, weight * scale_.value(), loss.value().dtype(), device_), listener);
    if (batch.size() > 0) report.loss += weight * loss.value().item();
  }
  constant.reset();
  requests_ = signals::take();
  gradient_sum_.finish(report.loss, requests_);
  stopped_ = stopped_ || requests_.stop != 0;

  const double unscale = 1 / scale_.value();
  const Tensor control = Tensor::of<double>(std::array{report.lr, unscale, static_cast<double>(updates_ + 1)},
                                            {ops::Control::size});
  control_.copy_from(control.to(device_));
  const Tensor squares = optim::clip_by_norm(parts_.parameters, control_, config_.clip_grad);
  report.grad_norm = unscale * std::sqrt(squares.item());
  const bool finite = std::isfinite(report.loss) && std::isfinite(report.grad_norm);
  if (finite) {
    parts_.optimizer.step(control_);
    parts_.parameters.drop_masters();
    ++updates_;
    nonfinite_in_a_row_ = 0;
  } else {  // an update would spread NaN over all weights
    ++skipped_;
    if (scale_.at_floor()) ++nonfinite_in_a_row_;
  }
  scale_.update(finite);
  report.next_loss_scale = scale_.value();
  report.updated = finite;
  report.skipped = skipped_;
  return report;
}

/// Fetches the next micro-batch and moves on in the epoch's order. Returns the seconds that it took.
double Trainer::next(data::Batch& batch) {
  board::enter(board::Phase::data, step_);
  const double begin = now();
  check(parts_.loader.next(batch), "the loader ended at position {} of epoch {}", position_, epoch_);
  position_ = batch.position + batch.global_size;
  board::enter(board::Phase::step, step_);
  return now() - begin;
}

void Trainer::state(checkpoint::Archive& a) {
  a("step", step_);
  a("epoch", epoch_);
  a("position", position_);
  a("end_of_epoch_due", end_of_epoch_due_);
  a("updates", updates_);
  a("skipped", skipped_);
  a("nonfinite_in_a_row", nonfinite_in_a_row_);
  a("loss_scale", scale_);
  for (auto& hook : hooks_) {
    if (!hook->name().empty()) a.group(hook->name(), [&](checkpoint::Archive& g) { hook->state(g); });
  }
  // A run that was to end in the middle of an epoch and is now to go on needs no evaluation there.
  if (a.reading() && step_ < plan_.total_steps && steps_into_epoch() < plan_.steps_per_epoch)
    end_of_epoch_due_ = false;
}

void Trainer::check_convergence(const StepReport& report) {
  if (report.step == 1 && parts_.comm.rank() == 0) {
    for (const std::string& name : parts_.parameters.without_gradient()) {
      log::warn(
          "parameter {} received no gradient in the first step: nothing that the loss depends on uses it",
          name);
    }
  }
  if (nonfinite_in_a_row_ < config_.max_nonfinite) return;
  const StepSamples samples{.epoch = epoch_, .begin = position_ - report.samples, .end = position_};
  fail(Exit::diverged, "{}",
       text_of({.report = report,
                .in_a_row = nonfinite_in_a_row_,
                .scales_loss = parts_.parameters.precision().scales_loss(),
                .broken = broken_sample(parts_.loader, parts_.comm, samples)}));
}

}  // namespace trainer::train
