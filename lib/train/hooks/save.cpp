#include "lib/train/hooks/save.h"

#include <cmath>

#include "lib/base/board.h"
#include "lib/base/log.h"
#include "lib/checkpoint/step_directory.h"

namespace trainer::train {

SaveHook::SaveHook(const RunDirectory& run, const RunSettings& settings, Origin origin)
    : settings_(settings),
      origin_(std::move(origin)),
      writer_({.checkpoints = run.checkpoints(),
               .run_id = run.id(),
               .world_size = origin_.world_size,
               .config_hash = hash_of(origin_),
               .keep = settings.save_keep}),
      checkpoints_(run.checkpoints()),
      directory_(run.id()) {}

void SaveHook::state(checkpoint::Archive& a) {
  std::string directory = directory_;
  a("directory", directory);
  a("best_score", best_score_);
  a("best_step", best_step_);
  a("best_metric", best_metric_);
  if (directory != directory_) best_score_.reset();  // of another run: this one has no such checkpoint
}

void SaveHook::restore_pointers(const Trainer& trainer) {
  const auto restore = [&](std::string_view name, int64_t step) {
    if (fs::exists(checkpoints_ / checkpoint::step_name(step))) checkpoint::point(checkpoints_, name, step);
  };
  restore("latest", trainer.step());
  if (best_score_) restore("best", best_step_);
}

void SaveHook::on_start(Trainer& trainer) {
  epoch_ = trainer.epoch();
  restore_pointers(trainer);
  const checkpoint::SaveRequest now = run_state(trainer, origin_);
  writer_.reserve(now.model, now.state);
}

void SaveHook::on_evaluation(Trainer&, const Evaluation& evaluation) {
  const std::string metric = evaluation.metrics.empty() ? "loss" : evaluation.metrics.front().first;
  if (std::exchange(best_metric_, metric) != metric)
    best_score_.reset();  // scores of two metrics say nothing
  if (best_score_ && !std::isnan(*best_score_) && !(evaluation.score > *best_score_)) return;
  best_score_ = evaluation.score;
  best_step_ = evaluation.step;
  improved_ = true;
}

void SaveHook::on_boundary(Trainer& trainer) {
  writer_.check_errors();
  const bool epoch_ended = trainer.epoch() != std::exchange(epoch_, trainer.epoch());
  const bool by_epoch = epoch_ended && settings_.save_freq > 0 && epoch_ % settings_.save_freq == 0;
  const bool by_step = settings_.save_steps > 0 && trainer.step() % settings_.save_steps == 0;
  const bool asked = trainer.requests().save || trainer.stopped();
  const bool improved = std::exchange(improved_, false);
  if (by_epoch || by_step || asked || improved || trainer.finished()) save(trainer, improved);
  if (asked) log::info("checkpoint of step {} on request", trainer.step());
}

void SaveHook::on_finish(Trainer&) { writer_.wait(); }

void SaveHook::save(Trainer& trainer, bool best) {
  board::enter(board::Phase::checkpoint, trainer.step());
  checkpoint::SaveRequest request = run_state(trainer, origin_);
  request.best = best;
  writer_.save(std::move(request));
}

}  // namespace trainer::train
