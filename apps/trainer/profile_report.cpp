#include "apps/trainer/profile_report.h"

#include <algorithm>
#include <cstdio>
#include <map>

#include "apps/trainer/roofline.h"
#include "lib/ops/matmul.h"

namespace trainer::app {
namespace {

constexpr size_t longest_shapes = 20;

struct Line {
  std::string name;
  int64_t calls = 0;
  double seconds = 0, flops = 0, bytes = 0, least_seconds = 0;

  void add(const Profile::Entry& e, const Roofline& roofline) {
    calls += e.calls;
    seconds += e.seconds;
    flops += e.flops;
    bytes += e.bytes;
    least_seconds += roofline.seconds(e);
  }
};

/// Per step; a count below one of a step (the optimizer's under accumulation) shows as it is.
void print(const Line& line, int width, int64_t steps, double step_seconds) {
  const auto n = static_cast<double>(steps);
  fmt::print("{:<{}} {:>7.4g} {:>10.3f} {:>6.1f}%", line.name, width, static_cast<double>(line.calls) / n,
             line.seconds / n * 1e3, line.seconds / n / step_seconds * 100);
  if (line.calls == 0) {
    std::puts("");
    return;
  }
  if (line.flops > 0) {
    fmt::print(" {:>8.1f}", line.flops / line.seconds * 1e-9);
  } else {
    fmt::print(" {:>8}", "");
  }
  fmt::print(" {:>7.1f} {:>10.0f}%\n", line.bytes / line.seconds * 1e-9,
             line.least_seconds / line.seconds * 100);
}

void print_lines(std::vector<Line> lines, const std::string& title, size_t most, int64_t steps,
                 double step_seconds) {
  std::ranges::sort(lines, std::greater(), &Line::seconds);
  if (lines.size() > most) lines.resize(most);
  int width = static_cast<int>(title.size());
  for (const Line& line : lines) width = std::max(width, static_cast<int>(line.name.size()));
  fmt::print("{:<{}} {:>7} {:>10} {:>7} {:>8} {:>7} {:>11}\n", title, width, "calls", "ms", "share",
             "GFLOP/s", "GB/s", "of roofline");
  for (const Line& line : lines) print(line, width, steps, step_seconds);
}

}  // namespace

Roofline::Roofline(Device d)
    : device(d),
      f32_gflops(measure_gflops(d)),
      bf16_gflops(measure_gflops(d, DType::bf16)),
      gbytes(measure_gbytes(d)) {}

double Roofline::seconds(const Profile::Entry& e) const {
  const double gflops = size_of(e.dtype) == 2 ? bf16_gflops : f32_gflops;
  return 1e-9 * std::max(e.flops / gflops, e.bytes / gbytes);
}

void print_profile(const train::ProfileHook::Result& result, const Roofline& roofline) {
  const double step_seconds = result.seconds / static_cast<double>(result.steps);
  std::map<std::string_view, Line> by_op;
  std::vector<Line> by_shape;
  Line rest{.name = "(outside ops: data, host)", .seconds = result.seconds};
  for (const Profile::Entry& e : result.profile.entries()) {
    Line& op = by_op[e.op];
    op.name = e.op;
    op.add(e, roofline);
    by_shape.push_back({.name = fmt::format("{} {} {}", e.op, name_of(e.dtype), e.shapes)});
    by_shape.back().add(e, roofline);
    rest.seconds -= e.seconds;
  }
  std::vector<Line> lines{rest};
  for (auto& [op, line] : by_op) lines.push_back(line);

  fmt::print(
      "{} steps of {:.3f} ms on {}, which can do {:.0f} GFLOP/s in f32, {:.0f} in bf16, {:.1f} GB/s\n\n",
      result.steps, step_seconds * 1e3, roofline.device.str(), roofline.f32_gflops, roofline.bf16_gflops,
      roofline.gbytes);
  print_lines(std::move(lines), "op, each step", SIZE_MAX, result.steps, step_seconds);
  std::puts("");
  print_lines(std::move(by_shape), "op, dtype and shapes, each step", longest_shapes, result.steps,
              step_seconds);
}

}  // namespace trainer::app
