// Evaluation: a pass over a dataset without gradients.
#pragma once

#include "lib/data/loader.h"
#include "lib/metrics/metric.h"
#include "lib/nn/model.h"
#include "lib/train/hook.h"

namespace trainer::train {

/// Runs the model in evaluation mode over the loader's epoch 0 and feeds each metric. The mode of `context` is restored.
/// Each sample counts once. The loss is unsmoothed: it measures the model, not the regularisation.
Evaluation evaluate(nn::Model&, nn::Context&, data::Loader&, Device);

/// Evaluates after each epoch and reports the result to all hooks.
class EvaluateHook final : public Hook {
 public:
  explicit EvaluateHook(std::unique_ptr<data::Loader> loader) : loader_(std::move(loader)) {}
  void on_epoch_end(Trainer&) override;

 private:
  std::unique_ptr<data::Loader> loader_;
};

}  // namespace trainer::train
