#include "lib/train/hooks/progress.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cmath>
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
  first_ = trainer.step();
}

void ProgressHook::on_step(Trainer&, const StepReport& r) {
  const double rate = static_cast<double>(r.samples) / std::max(r.seconds, 1e-9);
  rate_ = last_.step == 0 ? rate : 0.9 * rate_ + 0.1 * rate;
  loss_ = last_.step == 0 || !std::isfinite(loss_) ? r.loss : 0.9 * loss_ + 0.1 * r.loss;  // NaN would stay
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
  const double seconds_per_step = (now() - start_) / static_cast<double>(last_.step - first_);
  const double left = seconds_per_step * static_cast<double>(plan_.total_steps - last_.step);
  const std::string head =
      fmt::format("epoch {:>{}}/{} ", last_.epoch + 1, std::to_string(plan_.epochs).size(), plan_.epochs);
  const std::array parts{fmt::format(" {:3.0f}%", 100 * share),
                         fmt::format("  {} img/s", with_commas(static_cast<int64_t>(rate_))),
                         fmt::format("  {} left", human_time(left)),
                         fmt::format("  loss {:.4f}", unsigned_nan(loss_)),
                         result_.empty() ? "" : "  " + result_};
  int room = columns - 1 - static_cast<int>(head.size());
  std::string tail;
  for (const std::string& part : parts) {  // a narrow terminal shows the first of them
    if (room < std::ssize(part)) break;
    tail += part;
    room -= static_cast<int>(part.size());
  }
  if (room < 6) return (head + tail).substr(0, static_cast<size_t>(std::max(0, columns - 1)));
  const std::string drawn = bar(share, std::min(room, 30));
  return head + (color_ ? "\x1b[36m" + drawn + "\x1b[0m" : drawn) + tail;
}

}  // namespace trainer::train
