// Evaluation: a pass over a dataset without gradients.
#pragma once

#include "lib/data/loader.h"
#include "lib/metrics/metric.h"
#include "lib/nn/loss.h"
#include "lib/nn/model.h"
#include "lib/train/hook.h"

namespace trainer::train {

/// Runs the model in evaluation mode over the loader's epoch 0 and feeds each metric. The mode of `context`
/// is restored. Each sample counts once. The loss is unsmoothed: it measures the model, not the
/// regularisation.
using Metrics = std::vector<std::pair<std::string, std::unique_ptr<metrics::Metric>>>;
Evaluation evaluate(nn::Model&, nn::Context&, const nn::Loss&, const Metrics&, data::Loader&, Device);

/// Evaluates after each epoch and reports the result to all hooks.
class EvaluateHook final : public Hook {
 public:
  EvaluateHook(std::unique_ptr<data::Loader> loader, const nn::Loss& loss, Metrics metrics)
      : loader_(std::move(loader)), loss_(loss), metrics_(std::move(metrics)) {}
  void on_epoch_end(Trainer&) override;

 private:
  std::unique_ptr<data::Loader> loader_;
  const nn::Loss& loss_;
  Metrics metrics_;
};

}  // namespace trainer::train
