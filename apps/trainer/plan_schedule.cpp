// The learning rate of a plan: a picture of it, and a file.
#include <algorithm>
#include <array>
#include <cmath>

#include "apps/trainer/plan.h"
#include "lib/base/file.h"

namespace trainer::app {
namespace {

constexpr int height = 8;  // of the picture, lines
constexpr int labels = 9;  // characters left of the axis

/// Text centred at a column of a line, where it fits behind what is there.
void put(std::string& line, int column, const std::string& text) {
  const int begin = std::max(column - static_cast<int>(text.size()) / 2, 0);
  if (!line.empty() && begin < static_cast<int>(line.size()) + 1) return;
  line.resize(static_cast<size_t>(begin), ' ');
  line += text;
}

}  // namespace

std::string schedule_plot(const optim::Schedule& schedule, const train::Plan& plan, int64_t warmup_steps,
                          int columns, bool utf8) {
  static constexpr std::array eighths{" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
  static constexpr std::array quarters{" ", ".", ":", "|", "#"};
  const std::span<const char* const> levels = utf8 ? std::span<const char* const>(eighths) : quarters;
  const int parts = static_cast<int>(levels.size()) - 1;
  const int64_t total = plan.total_steps;
  if (total == 0) return "  no step\n";

  const int width = std::clamp(columns - labels - 4, 20, 100);
  const auto first = [&](int column) { return std::min(total * column / width, total - 1); };
  std::vector<double> rates;
  double most = 0;
  for (int c = 0; c < width; ++c) {
    const int64_t last = std::max(first(c), c + 1 < width ? first(c + 1) - 1 : total - 1);
    rates.push_back((schedule.lr(first(c)) + schedule.lr(last)) / 2);
    most = std::max(most, rates.back());
  }
  std::string text = "  schedule (learning rate)\n";
  for (int line = 0; line < height; ++line) {
    const bool labelled = line % (height / 2) == 0 && most > 0;
    text += labelled ? fmt::format("{:>{}.3g} |", most * (height - line) / height, labels)
                     : fmt::format("{:{}} |", "", labels);
    std::string bars;
    size_t used = 0;  // without blanks at the end
    for (const double rate : rates) {
      const double above = most > 0 ? rate / most * height - (height - 1 - line) : 0;
      auto level = static_cast<int>(std::lround(std::clamp(above, 0.0, 1.0) * parts));
      if (line == height - 1 && rate > 0) level = std::max(level, 1);  // more than nothing is visible
      bars += levels[static_cast<size_t>(level)];
      if (level > 0) used = bars.size();
    }
    text += bars.substr(0, used) + "\n";
  }

  std::string axis = fmt::format("{:>{}} +", 0, labels), epochs, steps;
  for (int c = 0; c < width; ++c) axis += first(c) < warmup_steps ? '=' : '-';
  const double per_epoch = static_cast<double>(std::max<int64_t>(plan.steps_per_epoch, 1));
  for (int quarter = 0; quarter <= 4; ++quarter) {
    const int column = labels + 2 + width * quarter / 4;
    const int64_t step = total * quarter / 4;
    if (quarter > 0) axis[static_cast<size_t>(std::min(column, labels + 1 + width))] = '+';
    put(epochs, column, fmt::format("{:.4g}", static_cast<double>(step) / per_epoch));
    put(steps, column, fmt::format("{}", step));
  }
  const auto named = [](std::string line, std::string_view name) {
    line.resize(std::max(line.size(), name.size() + 2), ' ');
    return line.replace(2, name.size(), name) + "\n";
  };
  return text + axis + "\n" + named(epochs, "epoch") + named(steps, "step");
}

void write_schedule(const optim::Schedule& schedule, const train::Plan& plan, const std::string& file) {
  AtomicFile csv(file, Exit::usage);
  std::string lines = "step,epoch,lr\n";
  for (int64_t step = 1; step <= plan.total_steps; ++step) {
    lines += fmt::format("{},{},{:.9g}\n", step, (step - 1) / plan.steps_per_epoch, schedule.lr(step - 1));
    if (lines.size() < (size_t{1} << 20)) continue;
    csv.write(lines);
    lines.clear();
  }
  csv.write(lines);
  csv.commit();
}

}  // namespace trainer::app
