// Keeps the best and the last weights: checkpoints/step-N/model.safetensors, pointed at by `best` and
// `latest`.
#pragma once

#include <optional>

#include "lib/train/hook.h"
#include "lib/train/run_directory.h"

namespace trainer::train {

class SaveHook final : public Hook {
 public:
  explicit SaveHook(RunDirectory& run) : run_(run) {}
  void on_evaluation(Trainer&, const Evaluation&) override;
  void on_finish(Trainer&) override;

 private:
  void save(Trainer&, int64_t step);
  RunDirectory& run_;
  std::optional<int64_t> best_step_;
  double best_score_ = 0;
};

}  // namespace trainer::train
