#include "lib/train/hooks/metrics_log.h"

#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "lib/base/log.h"
#include "lib/base/system.h"
#include "lib/base/text.h"
#include "lib/train/trainer.h"

namespace trainer::train {
namespace {

using Json = nlohmann::ordered_json;

/// JSON has no NaN: a number that is not finite is written as null.
Json number(double v) { return std::isfinite(v) ? Json(v) : Json(); }

/// "step 57 skipped: gradients overflowed; loss scale 65536 -> 32768".
std::string skip_text(const StepReport& r, bool scales_loss) {
  std::string text = fmt::format("step {} skipped: ", r.step);
  if (!std::isfinite(r.loss)) {
    text += fmt::format("loss {}", unsigned_nan(r.loss));
  } else if (scales_loss) {
    text += "gradients overflowed";
  } else {
    text += fmt::format("gradient norm {}", unsigned_nan(r.grad_norm));
  }
  if (!scales_loss) return text;
  if (r.next_loss_scale == r.loss_scale)
    return text + fmt::format("; loss scale {:.0f}, its least", r.loss_scale);
  return text + fmt::format("; loss scale {:.0f} -> {:.0f}", r.loss_scale, r.next_loss_scale);
}

}  // namespace

MetricsHook::MetricsHook(const RunDirectory& run, int64_t print_freq)
    : file_(run.file("metrics.jsonl")),
      events_folder_(run.file("tb")),
      print_freq_(print_freq),
      directory_(run.id()),
      used_(run.used()) {}

MetricsHook::~MetricsHook() {
  if (!events_ || window_.empty()) return;
  try {
    flush(last_);
  } catch (const std::exception& error) {
    log::error("{}", error.what());
  }
}

void MetricsHook::state(checkpoint::Archive& a) {
  std::string directory = directory_;
  a("directory", directory);
  a("lines", lines_);
  if (directory != directory_) lines_ = 0;  // the run goes on elsewhere
  a("window", window_);
}

void MetricsHook::on_start(Trainer& trainer) {
  jsonl_.open(file_, std::ios::app);
  check(Exit::usage, jsonl_.good(), "cannot write {}", file_.string());
  cut_back();
  events_.emplace(events_folder_);
  if (used_) events_->restarted_at(trainer.step() + 1);

  scales_loss_ = trainer.parts().parameters.precision().scales_loss();
  const Plan& plan = trainer.plan();
  epochs_ = plan.epochs;
  log::info("{} epochs of {} steps, {} samples a step", plan.epochs, plan.steps_per_epoch,
            plan.effective_batch);
}

/// Keeps the lines that belong to the checkpoint. Their number, not their length, is the same in every run
/// with the same bits: speeds differ, and a checkpoint may be older than the file.
void MetricsHook::cut_back() {
  std::ifstream file(file_, std::ios::binary);
  int64_t kept = 0;
  uintmax_t length = 0;
  for (std::string text; kept < lines_ && std::getline(file, text) && !file.eof(); ++kept)
    length += text.size() + 1;
  lines_ = kept;  // fewer if somebody has removed some
  std::error_code error;
  if (fs::file_size(file_, error) > length) fs::resize_file(file_, length, error);
  check(Exit::usage, !error, "cannot cut {} back to its checkpoint: {}", file_.string(), error.message());
}

void MetricsHook::on_step(Trainer& trainer, const StepReport& report) {
  window_.add(report);
  last_ = report;
  if (!report.updated) log::info("{}", skip_text(report, scales_loss_));
  if (report.step % print_freq_ == 0 || report.step == trainer.plan().total_steps) flush(report);
}

void MetricsHook::flush(const StepReport& r) {
  Json j{{"kind", "train"},
         {"step", r.step},
         {"epoch", r.epoch},
         {"loss", number(window_.loss())},
         {"lr", r.lr}};
  j["samples_per_s"] = std::round(window_.samples_per_second() * 10) / 10;
  j["grad_norm"] = number(r.grad_norm);
  j["loss_scale"] = r.loss_scale;
  if (r.skipped > 0) j["skipped"] = r.skipped;
  if (window_.nonfinite() > 0) j["nonfinite"] = window_.nonfinite();
  line(j.dump());
  events_->scalar("train/loss", r.step, window_.loss());
  events_->scalar("train/lr", r.step, r.lr);
  events_->scalar("train/grad_norm", r.step, r.grad_norm);
  events_->scalar("train/samples_per_s", r.step, window_.samples_per_second());
  if (scales_loss_) {
    events_->scalar("train/loss_scale", r.step, r.loss_scale);
    events_->scalar("train/skipped", r.step, static_cast<double>(r.skipped));
  }
  const auto level =
      is_terminal(STDERR_FILENO) ? log::Level::debug : log::Level::info;  // a terminal has the progress bar
  log::write(level, fmt::format(
                        "epoch {}/{} step {}: loss {:.4f}{}, lr {:.3g}, grad norm {:.3f}, {:.0f} samples/s{}",
                        r.epoch + 1, epochs_, r.step, unsigned_nan(window_.loss()),
                        window_.nonfinite() > 0 ? fmt::format(" ({} not finite)", window_.nonfinite()) : "",
                        r.lr, unsigned_nan(r.grad_norm), window_.samples_per_second(),
                        window_.data_share() > 0.1 ? fmt::format(", {:.0f} % of the time waiting for data",
                                                                 100 * window_.data_share())
                                                   : ""));
  window_ = {};
}

void MetricsHook::on_evaluation(Trainer&, const Evaluation& e) {
  Json j{{"kind", "eval"}, {"step", e.step}, {"epoch", e.epoch}, {"loss", number(e.loss)}};
  std::string text;
  for (const auto& [name, value] : e.metrics) {
    j[name] = number(value);
    text += fmt::format(", {} {:.4f}", name, unsigned_nan(value));
    events_->scalar("eval/" + name, e.step, value);
  }
  j["samples"] = e.samples;
  line(j.dump());
  events_->scalar("eval/loss", e.step, e.loss);
  events_->flush();
  log::info("epoch {}/{}: validation loss {:.4f}{} ({} samples)", e.epoch + 1, epochs_, unsigned_nan(e.loss),
            text, e.samples);
}

void MetricsHook::on_finish(Trainer&) {
  if (!window_.empty()) flush(last_);
  events_->flush();
}

void MetricsHook::line(const std::string& json) {
  jsonl_ << json << std::endl;  // a reader of the file is never behind
  ++lines_;
  check(Exit::usage, jsonl_.good(), "cannot write {}: is the disk full?", file_.string());
}

}  // namespace trainer::train
