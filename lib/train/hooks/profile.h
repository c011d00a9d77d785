// Times the ops of some steps (trainer --profile).
#pragma once

#include <functional>

#include "lib/tensor/profile.h"
#include "lib/train/hook.h"

namespace trainer::train {

class ProfileHook final : public Hook {
 public:
  /// Steps that are not counted: primitives are built and memory is allocated in them.
  static constexpr int64_t warmup = 2;

  struct Result {
    const Profile& profile;
    int64_t steps;
    double seconds;  ///< of these steps, waiting for data included
  };

  /// Counts `steps` steps after the warm-up, or all until the run ends if that is 0, then calls `done`: once,
  /// unless the run ends in the warm-up. What other hooks do between steps (evaluation) is not counted.
  ProfileHook(int64_t steps, std::function<void(const Result&)> done)
      : steps_(steps), done_(std::move(done)) {}

  void on_step(Trainer&, const StepReport&) override;
  void on_boundary(Trainer&) override;
  void on_finish(Trainer&) override;

 private:
  void finish();

  Profile profile_;
  int64_t steps_, seen_ = 0, counted_ = 0;
  double seconds_ = 0;
  std::function<void(const Result&)> done_;
};

}  // namespace trainer::train
