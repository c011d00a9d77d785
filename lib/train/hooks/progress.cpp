#include "lib/train/hooks/progress.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include "lib/base/system.h"
#include "lib/base/text.h"
#include "lib/train/trainer.h"

namespace trainer::train {
namespace {

constexpr double redraw_interval = 0.1;  // seconds

std::string bar(double share, int width) {
  const int halves = static_cast<int>(share * 2 * width);
  std::string s;
  for (int i = 0; i < width; ++i) s += 2 * i + 1 < halves ? "━" : (2 * i < halves ? "╸" : "─");
  return s;
}

}  // namespace

ProgressHook::ProgressHook() : terminal_(is_terminal(STDERR_FILENO)), color_(wants_color(STDERR_FILENO)) {
  if (terminal_) log::set_overlay(this);
}

ProgressHook::~ProgressHook() {
  if (!terminal_) return;
  erase();
  log::set_overlay(nullptr);
}

void ProgressHook::on_start(Trainer& trainer) {
  plan_ = trainer.plan();
  start_ = now();
}

void ProgressHook::on_step(Trainer&, const StepReport& r) {
  const double keep = last_.step == 0 ? 0 : 0.9;
  rate_ = keep * rate_ + (1 - keep) * static_cast<double>(r.samples) / std::max(r.seconds, 1e-9);
  loss_ = keep * loss_ + (1 - keep) * r.loss;
  last_ = r;
  if (!terminal_ || now() - drawn_ < redraw_interval) return;
  erase();
  redraw();
}

void ProgressHook::on_evaluation(Trainer&, const Evaluation& e) {
  if (!e.metrics.empty())
    result_ = fmt::format("{} {:.4f}", e.metrics.front().first, e.metrics.front().second);
}

void ProgressHook::on_finish(Trainer&) { erase(); }

void ProgressHook::erase() {
  if (!visible_) return;
  std::fputs("\r\x1b[2K", stderr);
  std::fflush(stderr);
  visible_ = false;
}

void ProgressHook::redraw() {
  if (last_.step == 0 || last_.step >= plan_.total_steps) return;
  std::fputs(text(terminal_columns()).c_str(), stderr);
  std::fflush(stderr);
  visible_ = true;
  drawn_ = now();
}

std::string ProgressHook::text(int columns) const {
  const double share =
      static_cast<double>(last_.step) / static_cast<double>(std::max<int64_t>(1, plan_.total_steps));
  const double left = (now() - start_) / share * (1 - share);
  const std::string head =
      fmt::format("epoch {:>{}}/{} ", last_.epoch + 1, std::to_string(plan_.epochs).size(), plan_.epochs);
  std::string tail = fmt::format(" {:3.0f}%  {} img/s  {} left  loss {:.4f}", 100 * share,
                                 with_commas(static_cast<int64_t>(rate_)), human_time(left), loss_);
  if (!result_.empty()) tail += "  " + result_;
  const int room = columns - static_cast<int>(head.size() + tail.size()) - 1;
  if (room < 6) return (head + tail).substr(0, static_cast<size_t>(std::max(0, columns - 1)));
  const std::string drawn = bar(share, std::min(room, 30));
  return head + (color_ ? "\x1b[36m" + drawn + "\x1b[0m" : drawn) + tail;
}

}  // namespace trainer::train
