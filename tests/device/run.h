// A short training run on a device, put together from the configuration as the program does it.
#pragma once

#include <optional>

#include "lib/checkpoint/step_directory.h"
#include "lib/config/config.h"
#include "lib/train/build.h"
#include "lib/train/evaluate.h"
#include "lib/train/hooks/save.h"
#include "lib/train/run_state.h"
#include "tests/device/fake_cuda.h"

namespace trainer::fake {

struct Result {
  std::vector<train::StepReport> steps;
  std::optional<train::Evaluation> evaluation;  ///< the last one
  std::string model, state;                     ///< the tensors of the last checkpoint, as files
  int64_t growths = 0;  ///< of the device's pool, after the second step and without what hooks do
};

class Recorder final : public train::Hook {
 public:
  explicit Recorder(Result& result) : result_(result) {}
  void on_step(train::Trainer& trainer, const train::StepReport& report) override {
    const int64_t growths = pool_statistics(trainer.parts().parameters.values().device()).growths;
    result_.steps.push_back(report);
    if (result_.steps.size() > 2) result_.growths += growths - before_;
  }
  void on_boundary(train::Trainer& trainer) override {
    before_ = pool_statistics(trainer.parts().parameters.values().device()).growths;
  }
  void on_evaluation(train::Trainer&, const train::Evaluation& e) override { result_.evaluation = e; }

 private:
  Result& result_;
  int64_t before_ = 0;
};

struct Run {
  std::vector<std::string> opts;  ///< KEY VALUE ..., DEVICE among them
  fs::path directory;
  fs::path go_on_from = {};  ///< a step directory
};

/// Trains, evaluates after each epoch, saves as the keys say; on every rank of `comm`, whose directories have
/// to differ.
inline Result result_of(const Run& run, comm::Comm& comm) {
  config::Config config = config::Config::defaults();
  config.merge_opts(run.opts);
  const train::Settings s(config);
  const auto loader = [&](data::Split split) {
    return train::build_loader(train::build_dataset(config, s, split), s, split, comm);
  };
  train::Training t(config, s, loader(data::Split::train), train::choose_device(s.run.device, comm.rank()),
                    comm);
  const train::RunDirectory directory(run.directory);
  train::Metrics metrics;
  for (const std::string name : {"acc1", "acc5"})
    metrics.emplace_back(name, metrics::metrics().make(name, config.group("TEST")));
  Result result;
  t.trainer->add(std::make_unique<Recorder>(result));
  t.trainer->add(std::make_unique<train::EvaluateHook>(loader(data::Split::val), std::move(metrics)));
  t.trainer->add(std::make_unique<train::SaveHook>(directory, s.run, train::Origin{}));
  if (run.go_on_from.empty()) {
    train::begin_together(*t.model, comm);
  } else {
    train::restore(*t.trainer, {}, run.go_on_from);
  }
  t.trainer->run();
  const fs::path last = directory.checkpoints() / checkpoint::step_name(t.trainer->step());
  result.model = read_file(last / "model.safetensors", Exit::internal);
  result.state = read_file(last / "state.safetensors", Exit::internal);
  return result;
}

inline Result result_of(const Run& run) {
  const auto alone = comm::make_comm({}, config::Config::defaults().group("COMM"), World{});
  return result_of(run, *alone);
}

}  // namespace trainer::fake
