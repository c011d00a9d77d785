// What a person sees while a run goes on: a bar on a terminal, plain lines elsewhere.
#pragma once

#include <string>

#include "lib/base/log.h"
#include "lib/train/hook.h"

namespace trainer::train {

/// One line at the bottom of the terminal, redrawn at most ten times a second:
///   epoch  3/20 ━━━━━━━━━━╸─────────  47%  5,120 img/s  0:12 left  loss 0.2134  acc1 0.9806
class ProgressHook final : public Hook, private log::Overlay {
 public:
  ProgressHook();
  ~ProgressHook() override;
  void on_start(Trainer&) override;
  void on_step(Trainer&, const StepReport&) override;
  void on_evaluation(Trainer&, const Evaluation&) override;
  void on_finish(Trainer&) override;

 private:
  void erase() override;
  void redraw() override;
  std::string text(int columns) const;

  const bool terminal_, color_;
  Plan plan_;
  StepReport last_;
  double start_ = 0, drawn_ = 0;
  int64_t first_ = 0;  // steps that were done before this process began
  double rate_ = 0;    // samples a second, smoothed
  double loss_ = 0;    // smoothed
  std::string result_;
  bool visible_ = false;
};

}  // namespace trainer::train
