// metrics.jsonl, the log's lines and TensorBoard: three views of the same numbers.
#pragma once

#include <algorithm>
#include <cmath>
#include <fstream>
#include <optional>

#include "lib/io/events.h"
#include "lib/train/hook.h"
#include "lib/train/run_directory.h"

namespace trainer::train {

/// What a line between two prints says: means over the steps since the last one. A loss that is not finite is counted,
/// not averaged: it would hide all others.
class Window {
 public:
  void add(const StepReport& r) {
    if (std::isfinite(r.loss)) {
      loss_ += r.loss * static_cast<double>(r.samples);
    } else {
      ++nonfinite_;
      nonfinite_samples_ += r.samples;
    }
    samples_ += r.samples;
    seconds_ += r.seconds;
    data_seconds_ += r.data_seconds;
  }
  /// NaN if no step's was finite.
  double loss() const { return loss_ / static_cast<double>(samples_ - nonfinite_samples_); }
  int64_t nonfinite() const { return nonfinite_; }  ///< steps whose loss was not finite
  double samples_per_second() const { return seconds_ > 0 ? static_cast<double>(samples_) / seconds_ : 0; }
  double data_share() const { return seconds_ > 0 ? data_seconds_ / seconds_ : 0; }
  bool empty() const { return samples_ == 0; }
  void state(checkpoint::Archive& a) {
    a("loss", loss_), a("samples", samples_), a("seconds", seconds_), a("data_seconds", data_seconds_);
    if (a.reading() && !std::ranges::count(a.keys(), "nonfinite")) {  // of a version that did not count them
      nonfinite_ = nonfinite_samples_ = 0;
      return;
    }
    a("nonfinite", nonfinite_), a("nonfinite_samples", nonfinite_samples_);
  }

 private:
  double loss_ = 0, seconds_ = 0, data_seconds_ = 0;
  int64_t samples_ = 0, nonfinite_ = 0, nonfinite_samples_ = 0;
};

class MetricsHook final : public Hook {
 public:
  /// Every `print_freq` optimizer steps a line; evaluations always. A run that is taken up again goes on
  /// where its checkpoint was made: later lines are cut off, and TensorBoard is told to forget them.
  MetricsHook(const RunDirectory&, int64_t print_freq);
  /// What a run that ends in an error has not written yet.
  ~MetricsHook() override;
  std::string_view name() const override { return "metrics"; }
  void state(checkpoint::Archive&) override;
  void on_start(Trainer&) override;
  void on_step(Trainer&, const StepReport&) override;
  void on_evaluation(Trainer&, const Evaluation&) override;
  void on_finish(Trainer&) override;

 private:
  void flush(const StepReport&);
  void line(const std::string& json);
  void cut_back();

  fs::path file_;
  std::ofstream jsonl_;
  fs::path events_folder_;
  std::optional<io::EventFile> events_;  // once the run begins
  int64_t print_freq_, epochs_ = 0;
  std::string directory_;  // RunDirectory::id()
  bool used_;              // a run has been here before
  bool scales_loss_ = false;
  int64_t lines_ = 0;  // of metrics.jsonl that belong to the run up to here
  Window window_;
  StepReport last_;
};

}  // namespace trainer::train
