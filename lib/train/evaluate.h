// Evaluation: a pass over a dataset without gradients.
#pragma once

#include <functional>
#include <optional>

#include "lib/comm/comm.h"
#include "lib/data/loader.h"
#include "lib/metrics/metric.h"
#include "lib/nn/loss.h"
#include "lib/nn/model.h"
#include "lib/train/hook.h"

namespace trainer::train {

using Metrics = std::vector<std::pair<std::string, std::unique_ptr<metrics::Metric>>>;

/// Runs the model in evaluation mode over the loader's epoch 0 and feeds each metric. Every rank calls it
/// with a loader of its part; each sample counts once, and all ranks get the same result. The mode of
/// `context` is restored. The loss is unsmoothed: it measures the model, not the regularisation. Buffers
/// become rank 0's. `give_up`, asked after each batch, ends it without a result.
std::optional<Evaluation> evaluate(nn::Model&, nn::Context&, const nn::Loss&, const Metrics&, data::Loader&,
                                   comm::Comm&, const std::function<bool()>& give_up = {});

/// Evaluates after each epoch and reports the result to all hooks. A request to stop ends it.
class EvaluateHook final : public Hook {
 public:
  EvaluateHook(std::unique_ptr<data::Loader> loader, Metrics metrics)
      : loader_(std::move(loader)), metrics_(std::move(metrics)) {}
  void on_epoch_end(Trainer&) override;

 private:
  std::unique_ptr<data::Loader> loader_;
  Metrics metrics_;
};

}  // namespace trainer::train
