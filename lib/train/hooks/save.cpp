#include "lib/train/hooks/save.h"

#include <cmath>

#include "lib/base/log.h"
#include "lib/checkpoint/weights.h"
#include "lib/train/trainer.h"

namespace trainer::train {

void SaveHook::on_evaluation(Trainer& trainer, const Evaluation& evaluation) {
  const bool better = !best_step_ || std::isnan(best_score_) || evaluation.score > best_score_;
  if (!better) return;
  save(trainer, evaluation.step);
  run_.point("best", evaluation.step);
  if (best_step_ && *best_step_ != evaluation.step) run_.remove_checkpoint(*best_step_);
  best_step_ = evaluation.step;
  best_score_ = evaluation.score;
}

void SaveHook::on_finish(Trainer& trainer) {
  save(trainer, trainer.step());
  run_.point("latest", trainer.step());
}

void SaveHook::save(Trainer& trainer, int64_t step) {
  const fs::path folder = run_.checkpoint(step);
  if (fs::exists(folder / "model.safetensors")) return;  // the best step may be the last one
  std::error_code error;
  fs::create_directories(folder, error);
  check(Exit::weights, !error, "cannot create {}: {}", folder.string(), error.message());
  checkpoint::save_weights(trainer.model(), folder / "model.safetensors");
}

}  // namespace trainer::train
