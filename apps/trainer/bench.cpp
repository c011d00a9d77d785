// trainer bench: training steps of some networks on this machine, beside PyTorch where it is installed.
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <memory>
#include <optional>

#include "apps/trainer/bench_report.h"
#include "apps/trainer/command.h"
#include "lib/base/signals.h"
#include "lib/base/system.h"

namespace trainer::app {
namespace {

using namespace bench;

struct Flags {
  std::vector<std::string> words, rows;
  std::string python;
  int64_t rounds = 5;
  double seconds = 10;
  bool list = false, json = false, no_compile = false, profile = false;
};

/// What is being measured, on a terminal, until something else is.
class Status {
 public:
  ~Status() { show(""); }
  void show(const std::string& text) {
    if (!is_terminal(STDERR_FILENO)) return;
    fmt::print(stderr, "\r\x1b[2K{}", text.substr(0, static_cast<size_t>(terminal_columns() - 1)));
    std::fflush(stderr);
  }
};

/// In turns, so that what else happens on the machine meets all sides alike.
Result measure(const Flags& flags, const Measuring& m, const Case& what, Status& status) {
  Result result{.what = what, .sides = {{"trainer"}}};
  std::optional<Start> start;
  if (m.peer.missing.empty()) {
    status.show(fmt::format("{}: initial weights", what.name()));
    start.emplace(what);
    result.sides.insert(result.sides.end(), {{"installed"}, {"fused"}});
    if (!flags.no_compile) result.sides.push_back({"compile"});
  }
  for (int64_t round = 1; round <= flags.rounds; ++round) {
    for (Side& side : result.sides) {
      if (!side.missing.empty()) continue;
      status.show(fmt::format("{}: round {} of {}, {}", what.name(), round, flags.rounds, side.name));
      if (&side == &result.sides.front()) {
        measure_ours(m, what, side);
      } else {
        measure_peer(m, what, *start, result.ours().runs.back().work, side);
      }
    }
  }
  if (flags.profile) {
    status.show(fmt::format("{}: profile", what.name()));
    result.profile = profile(m, what);
  }
  status.show("");
  return result;
}

int run(const Flags& flags) {
  if (flags.list) {
    print_rows(flags.json);
    return 0;
  }
  const std::vector<Case> cases = choose(flags.rows);
  signals::install();
  Status status;
  status.show("looking for PyTorch");
  Measuring m{.peer = find_peer(flags.python), .seconds = flags.seconds, .begin = now()};
  status.show("");
  std::vector<Result> results;
  if (!flags.json) {
    print_heading(m, flags.rounds);
    print_columns();
  }
  for (const Case& what : cases) {
    results.push_back(measure(flags, m, what, status));
    if (!flags.json) print_result(results.back());
  }
  if (flags.json) std::puts(json_text(m, flags.rounds, flags.words, results).c_str());
  const bool all_agree = std::ranges::none_of(
      results, [](const Result& r) { return std::ranges::any_of(r.sides, &Side::differs); });
  return static_cast<int>(all_agree ? Exit::ok : Exit::internal);
}

}  // namespace

Command bench_command(const std::vector<std::string>& words) {
  auto flags = std::make_shared<Flags>();
  flags->words = words;
  Flag rows{"ROW", "ROW[:DTYPE] ...", "what to measure (--list); all of them if left out",
            [&rows = flags->rows](const std::string& word) { rows.push_back(word); }};
  rows.many = true;
  for (const Row& row : bench::rows()) {
    rows.offered.push_back(row.name);
    for (const std::string& dtype : row.dtypes) rows.offered.push_back(row.name + ":" + dtype);
  }
  return {.name = "bench",
          .help = "training steps on this machine, beside PyTorch where it is installed",
          .examples =
              R"(Each row is measured in turns with PyTorch: as installed (eager, channels last), and at
its best: the fastest of that, eager with the fused optimizer and tcmalloc (fused), and torch.compile with
both (compile).
The first step counts from the start of the process; x is PyTorch's figure over ours: above 1, ours needs
less. A mode that fails is reported as missing, and the bench goes on. Both sides train the same weights on
the same batch: a mode whose first losses, number of parameters or of those with weight decay are not ours is
missing as well, and the exit code is 1.

Examples:
  trainer bench
  trainer bench cnn mlp resnet50:bf16 --no-compile
  trainer bench resnet50 --python ~/venv/bin/python --rounds 3 --json > resnet50.json
  trainer bench vit_tiny:f32 --profile)",
          .flags = {std::move(rows), toggle("--list", "list the rows and measure nothing", flags->list),
                    text("--python", "PATH",
                         "Python that has PyTorch and timm (default $PYTHON, else python3)", flags->python),
                    number("--rounds", "N", "runs of each side (default 5)", flags->rounds, 1, 1000),
                    seconds("--seconds", "what a run measures at least (default 10)", flags->seconds),
                    toggle("--no-compile", "leave out torch.compile, which takes minutes for a large network",
                           flags->no_compile),
                    toggle("--profile", "after each row, what each op of our step takes", flags->profile),
                    toggle("--json", "one document with every figure, for programs", flags->json)},
          .run = [flags] { return run(*flags); }};
}

}  // namespace trainer::app
