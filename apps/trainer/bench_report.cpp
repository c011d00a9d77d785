#include "apps/trainer/bench_report.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "apps/trainer/command.h"
#include "lib/backend/cpu/info.h"
#include "lib/base/system.h"
#include "lib/base/text.h"

namespace trainer::app::bench {
namespace {

using nlohmann::ordered_json;

/// Four digits that say something.
std::string four_digits(double v) {
  if (v >= 1000) return with_commas(std::llround(v));
  return fmt::format("{:.{}f}", v, v >= 100 ? 1 : (v >= 10 ? 2 : 3));
}

double samples_per_second(const Case& c, const Figures& f) {
  return static_cast<double>(c.row->batch) / f.step_seconds;
}

struct Ratio {
  double step, first_step, peak;
};
Ratio ratio(const Figures& peer, const Figures& ours) {
  return {peer.step_seconds / ours.step_seconds, peer.first_step_seconds / ours.first_step_seconds,
          peer.peak_bytes / ours.peak_bytes};
}

constexpr int row_width = 17, side_width = 24;

void print_side(const std::string& row, const std::string& name, const Case& c, const Figures& f,
                const Figures* ours) {
  fmt::print("{:<{}} {:<{}} {:>8} {:>10} {:>12.2f} {:>8.0f}", row, row_width, name, side_width,
             four_digits(f.step_seconds * 1e3), four_digits(samples_per_second(c, f)), f.first_step_seconds,
             f.peak_bytes * 1e-6);
  if (ours != nullptr) {
    const Ratio r = ratio(f, *ours);
    fmt::print("  {:>6.2f} {:>6.2f} {:>6.2f}", r.step, r.first_step, r.peak);
  }
  std::puts("");
}

/// Sides that failed for one reason share a line.
void print_missing(const std::vector<Side>& sides) {
  std::vector<std::pair<std::string, std::string>> reasons;
  for (const Side& side : sides) {
    if (side.missing.empty()) continue;
    const auto same = std::ranges::find(reasons, side.missing, &std::pair<std::string, std::string>::first);
    if (same == reasons.end()) {
      reasons.emplace_back(side.missing, side.name);
    } else {
      same->second += ", " + side.name;
    }
  }
  for (const auto& [reason, names] : reasons)
    fmt::print("{:<{}} PyTorch {}: missing: {}\n", "", row_width, names, printable(reason, 400));
}

/// One line for all modes that gave figures.
void print_agreement(const Result& result) {
  const std::optional<double> largest = result.largest_difference();
  if (!largest) return;
  std::string losses;
  for (const double loss : result.ours().runs.front().work.losses)
    losses += fmt::format("{}{:.4f}", losses.empty() ? "" : ", ", loss);
  fmt::print("{:<{}} losses agree: {} in the first steps, with at most {:.1g} % between the sides\n", "",
             row_width, losses, 100 * *largest);
}

double rounded(double v, int digits) {
  const double scale = std::pow(10, digits);
  return std::round(v * scale) / scale;
}

ordered_json figures_json(const Case& c, const Figures& f) {
  return {{"step_ms", rounded(f.step_seconds * 1e3, 5)},
          {"samples_per_s", rounded(samples_per_second(c, f), 2)},
          {"first_step_s", rounded(f.first_step_seconds, 4)},
          {"peak_bytes", std::llround(f.peak_bytes)},
          {"threads", f.threads}};
}

ordered_json side_json(const Result& result, const Side& side) {
  if (!side.has_figures()) return {{"missing", side.missing}};
  const Figures median = side.median();
  ordered_json j = figures_json(result.what, median);
  if (&side != &result.ours()) {
    const Ratio r = ratio(median, result.ours().median());
    j["ratio"] = {
        {"step", rounded(r.step, 3)}, {"first_step", rounded(r.first_step, 3)}, {"peak", rounded(r.peak, 3)}};
  }
  j["rounds"] = ordered_json::array();
  for (const Figures& run : side.runs) {
    ordered_json figures = figures_json(result.what, run);
    figures["at_s"] = rounded(run.at, 3);
    j["rounds"].push_back(std::move(figures));
  }
  return j;
}

/// Of each side's first run; differences of all runs that gave figures.
ordered_json work_json(const Result& result) {
  const Work& ours = result.ours().runs.front().work;
  ordered_json j{{"parameters", ours.parameters}, {"decayed", ours.decayed}};
  for (const Side& side : result.sides) {
    if (!side.runs.empty()) j["losses"][side.name] = side.runs.front().work.losses;
  }
  j["tolerance"] = result.what.loss_tolerance();
  const std::optional<double> largest = result.largest_difference();
  j["largest_difference"] = largest ? ordered_json(*largest) : ordered_json();
  const bool differs = std::ranges::any_of(result.sides, &Side::differs);
  j["agree"] = differs ? ordered_json(false) : (largest ? ordered_json(true) : ordered_json());
  return j;
}

/// Our side alone, as anyone can run it.
std::string command_text(const Case& c) { return fmt::format("trainer {}", fmt::join(our_words(c), " ")); }

ordered_json result_json(const Result& result) {
  ordered_json j{{"row", result.what.name()}};
  j.update(facts(result.what));
  j["command"] = command_text(result.what);
  for (const Side& side : result.sides) j["sides"][side.name] = side_json(result, side);
  const Side* best = result.best();
  j["best"] = best == nullptr ? ordered_json() : ordered_json(best->name);
  j["work"] = work_json(result);
  if (!result.profile.empty()) j["profile"] = result.profile;
  return j;
}

/// "trainer 0.1.0 (Release, ...)".
std::string our_version() {
  const std::string text = version_text();
  return text.substr(0, text.find('\n'));
}

}  // namespace

void print_heading(const Measuring& m, int64_t rounds) {
  const int cores = available_cores();
  fmt::print("{}, {} core{}, {}\n{}, {}\n", cpu_name(), cores, cores == 1 ? "" : "s", cpu::instruction_set(),
             our_version(), cpu::library_versions());
  if (m.peer.missing.empty()) {
    const auto version = [&m](const char* name) {
      const ordered_json& v = m.peer.versions[name];
      return v.is_string() ? v.get<std::string>() : "missing";
    };
    fmt::print(
        "PyTorch {}, timm {}, Python {}; {}\n", version("torch"), version("timm"), version("python"),
        m.peer.tcmalloc.empty() ? "no tcmalloc here, so fused and compile are without" : m.peer.tcmalloc);
  } else {
    fmt::print("no PyTorch to measure beside or to compare losses with: {}\n",
               printable(m.peer.missing, 400));
  }
  fmt::print("medians of {} round{}{}; a run is a process of its own that measures for {} s\n\n", rounds,
             rounds == 1 ? "" : "s", m.peer.missing.empty() ? ", the sides in turns" : "", m.seconds);
}

void print_columns() {
  fmt::print("{:<{}} {:<{}} {:>8} {:>10} {:>12} {:>8}  {:>6} {:>6} {:>6}\n", "row", row_width, "", side_width,
             "step, ms", "samples/s", "1st step, s", "peak, MB", "x step", "x 1st", "x peak");
  std::fflush(stdout);
}

void print_result(const Result& result) {
  const Figures ours = result.ours().median();
  print_side(result.what.name(), "trainer", result.what, ours, nullptr);
  const Side *installed = result.find("installed"), *best = result.best();
  if (installed != nullptr) print_side("", "PyTorch, installed", result.what, installed->median(), &ours);
  if (best != nullptr)
    print_side("", fmt::format("PyTorch, best: {}", best->name), result.what, best->median(), &ours);
  const Side* peer = installed != nullptr ? installed : best;
  if (peer != nullptr && peer->median().threads != ours.threads)
    fmt::print("{:<{}} {} threads here, {} in PyTorch\n", "", row_width, ours.threads,
               peer->median().threads);
  print_agreement(result);
  print_missing(result.sides);
  if (!result.profile.empty()) fmt::print("\n{}\n", result.profile);
  std::fflush(stdout);
}

void print_rows(bool as_json) {
  ordered_json all = ordered_json::array();
  if (!as_json)
    fmt::print("{:<{}} {:<22} {:>12} {:>6} {:>8} {:<10} {}\n", "row", row_width, "model", "samples", "batch",
               "classes", " optimizer", "dtypes");
  for (const Row& row : rows()) {
    if (as_json) {
      ordered_json j{{"row", row.name}};
      j.update(facts({&row, ""}));
      j.erase("dtype");
      j["dtypes"] = row.dtypes;
      for (const std::string& dtype : row.dtypes) j["commands"][dtype] = command_text({&row, dtype});
      all.push_back(std::move(j));
      continue;
    }
    fmt::print("{:<{}} {:<22} {:>12} {:>6} {:>8}  {:<9} {}\n", row.name, row_width, row.network.model,
               fmt::format("{}x{}x{}", row.channels, row.side, row.side), row.batch, row.network.classes,
               row.optimizer.name, fmt::join(row.dtypes, ", "));
  }
  if (as_json) std::puts(all.dump(2).c_str());
}

std::string json_text(const Measuring& m, int64_t rounds, const std::vector<std::string>& words,
                      const std::vector<Result>& results) {
  ordered_json j;
  j["machine"] = {
      {"cpu", cpu_name()}, {"cores", available_cores()}, {"instruction_set", cpu::instruction_set()}};
  j["versions"] = {{"trainer", our_version()}, {"libraries", cpu::library_versions()}};
  for (const char* name : {"python", "torch", "timm"})
    j["versions"][name] = m.peer.versions.is_object() ? m.peer.versions[name] : ordered_json();
  j["python"] = m.peer.python;
  if (!m.peer.missing.empty()) j["missing"] = m.peer.missing;
  j["tcmalloc"] = m.peer.tcmalloc.empty() ? ordered_json() : ordered_json(m.peer.tcmalloc);
  j["command"] = fmt::format("trainer {}", fmt::join(words, " "));
  j["rounds"] = rounds;
  j["seconds"] = m.seconds;
  j["rows"] = ordered_json::array();
  for (const Result& result : results) j["rows"].push_back(result_json(result));
  return j.dump(2, ' ', false, ordered_json::error_handler_t::replace);
}

}  // namespace trainer::app::bench
