// Checkpoints: every SAVE_FREQ epochs and SAVE_STEPS steps, at every best evaluation, when somebody asks for
// one, and at the end.
#pragma once

#include <optional>

#include "lib/train/hook.h"
#include "lib/train/run_directory.h"
#include "lib/train/run_state.h"
#include "lib/train/settings.h"

namespace trainer::train {

/// On rank 0. Writing happens in a thread of its own; what goes wrong there ends the run at the next step
/// with Error(Exit::weights): a run that cannot save would lose what it learns from then on.
class SaveHook final : public Hook {
 public:
  SaveHook(const RunDirectory&, const RunSettings&, Origin);
  std::string_view name() const override { return "save"; }
  void state(checkpoint::Archive&) override;
  void on_start(Trainer&) override;
  void on_evaluation(Trainer&, const Evaluation&) override;
  void on_boundary(Trainer&) override;
  void on_finish(Trainer&) override;

  /// Points `latest` and `best` at what they stand for where a kill has come between a checkpoint and its
  /// pointer. Part of on_start(); by itself for a run that was restored and has nothing left to do.
  void restore_pointers(const Trainer&);

 private:
  void save(Trainer&, bool best);

  RunSettings settings_;
  Origin origin_;
  checkpoint::Writer writer_;
  fs::path checkpoints_;
  std::string directory_;  // RunDirectory::id()
  std::optional<double> best_score_;
  int64_t best_step_ = 0;
  std::string best_metric_;  // which one best_score_ is of
  bool improved_ = false;    // by the evaluation since the last step
  int64_t epoch_ = 0;        // at the last boundary
};

}  // namespace trainer::train
