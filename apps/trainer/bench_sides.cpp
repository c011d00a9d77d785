#include "apps/trainer/bench_sides.h"

#include <fmt/ranges.h>
#include <glob.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <optional>
#include <span>

#include "apps/trainer/child.h"
#include "lib/base/error.h"
#include "lib/base/system.h"

namespace trainer::app::bench {
namespace {

using nlohmann::json;

/// bench_peer.py.
constexpr const char* script =
#include "apps/trainer/bench_peer.inc"
    ;

std::string last_line(std::string text) {
  while (!text.empty() && text.back() == '\n') text.pop_back();
  return text.substr(text.rfind('\n') + 1);
}

/// The JSON object on the last line of a program's output; null if that is none.
json answer(const ChildOutcome& outcome) {
  json j = json::parse(last_line(outcome.out), nullptr, false);
  return j.is_object() ? j : json();
}

/// Null unless all figures are there.
std::optional<Figures> figures(const json& j, double at) {
  for (const char* key : {"step_s", "first_step_s", "peak_bytes", "threads"}) {
    if (!j.is_object() || !j.contains(key) || !j[key].is_number()) return std::nullopt;
  }
  const std::optional<Work> work = work_of(j);
  if (!work) return std::nullopt;
  return Figures{at, j["step_s"], j["first_step_s"], j["peak_bytes"], j["threads"], *work};
}

ChildOutcome ask(const Peer& peer, const json& question) {
  std::vector<std::pair<std::string, std::string>> environment;
  if (!peer.tcmalloc.empty() && question["mode"] != "installed" && question["mode"] != "versions")
    environment.emplace_back("LD_PRELOAD", peer.tcmalloc);
  return run_child({peer.python, "-c", script, question.dump()}, environment);
}

/// Why PyTorch gave no figures.
std::string reason(const ChildOutcome& outcome) {
  const json j = answer(outcome);
  if (j.contains("error") && j["error"].is_string()) return j["error"];
  const std::string line = last_line(outcome.err);
  return line.empty() ? outcome.end() : fmt::format("{}: {}", outcome.end(), line);
}

/// The first in alphabetical order, "" if there is none.
std::string first_match(const char* pattern) {
  glob_t found{};
  std::string path;
  if (::glob(pattern, 0, nullptr, &found) == 0 && found.gl_pathc > 0) path = found.gl_pathv[0];
  ::globfree(&found);
  return path;
}

/// This program again, whatever has become of its file. main.cpp looks up its name.
ChildOutcome run_ours(const std::vector<std::string>& words) {
  std::vector<std::string> all{"/proc/self/exe"};
  all.insert(all.end(), words.begin(), words.end());
  ChildOutcome outcome = run_child(all);
  if (outcome.succeeded()) return outcome;
  const auto code =
      WIFEXITED(outcome.status) ? static_cast<Exit>(WEXITSTATUS(outcome.status)) : Exit::internal;
  fail(code, "bench: trainer {}\nended with {}:\n{}", fmt::join(words, " "), outcome.end(), outcome.err);
}

/// As they are given on the command line, without what belongs to a bench.
std::vector<std::string> measuring_words(const Measuring& m, const Case& c, double started) {
  std::vector<std::string> words = our_words(c);
  words.insert(words.end(), {"--no-user-config", "--seconds", fmt::format("{}", m.seconds), "--started",
                             fmt::format("{}", started)});
  return words;
}

}  // namespace

Figures Side::median() const {
  const auto of = [this](auto field) {
    std::vector<double> all;
    for (const Figures& f : runs) all.push_back(static_cast<double>(f.*field));
    std::ranges::sort(all);
    const size_t n = all.size();
    return n == 0 ? 0 : (all[n / 2] + all[(n - 1) / 2]) / 2;
  };
  return {.step_seconds = of(&Figures::step_seconds),
          .first_step_seconds = of(&Figures::first_step_seconds),
          .peak_bytes = of(&Figures::peak_bytes),
          .threads = static_cast<int>(of(&Figures::threads))};
}

const Side* Result::find(const std::string& name) const {
  const auto side = std::ranges::find(sides, name, &Side::name);
  return side != sides.end() && side->has_figures() ? &*side : nullptr;
}

const Side* Result::best() const {
  const Side* fastest = nullptr;
  for (const Side& side : std::span(sides).subspan(1)) {
    if (!side.has_figures()) continue;
    if (fastest == nullptr || side.median().step_seconds < fastest->median().step_seconds) fastest = &side;
  }
  return fastest;
}

std::optional<double> Result::largest_difference() const {
  std::optional<double> largest;
  for (const Side& side : std::span(sides).subspan(1)) {
    if (!side.has_figures()) continue;
    for (const Figures& run : side.runs)
      largest = std::max(largest.value_or(0), bench::largest_difference(ours().runs.front().work, run.work));
  }
  return largest;
}

Peer find_peer(const std::string& python) {
  Peer peer;
  peer.python = python;
  const char* named = std::getenv("PYTHON");
  if (peer.python.empty()) peer.python = named != nullptr && *named != '\0' ? named : "python3";
  try {
    const ChildOutcome outcome = ask(peer, {{"mode", "versions"}});
    const json j = answer(outcome);
    if (!outcome.succeeded() || !j.contains("torch")) {
      peer.missing = fmt::format("{}: {}", peer.python, reason(outcome));
    } else {
      for (const char* key : {"python", "torch", "timm"}) peer.versions[key] = j.value(key, json());
    }
  } catch (const Error& e) {
    if (e.code() != Exit::usage || !python.empty()) throw;
    peer.missing = e.what();
  }
  peer.tcmalloc = first_match("/usr/lib/*/libtcmalloc_minimal.so*");
  return peer;
}

std::vector<std::string> our_words(const Case& c) {
  std::vector<std::string> words{"--throughput", "--opts"};
  for (std::string& word : opts(c)) words.push_back(std::move(word));
  return words;
}

Start::Start(const Case& c) : file_(memory_file("start")) {
  std::vector<std::string> words = our_words(c);
  words.insert(words.end(), {"--no-user-config", "--write-start", path()});
  run_ours(words);
}

std::string Start::path() const { return fmt::format("/proc/{}/fd/{}", ::getpid(), file_.get()); }

void measure_ours(const Measuring& m, const Case& c, Side& side) {
  const double started = now();
  const ChildOutcome outcome = run_ours(measuring_words(m, c, started));
  const auto run = figures(answer(outcome), started - m.begin);
  check(run.has_value(), "bench: no figures in {}", outcome.out);
  side.runs.push_back(*run);
}

void measure_peer(const Measuring& m, const Case& c, const Start& start, const Work& ours, Side& side) {
  json question = facts(c);
  const double started = now();
  question.update(
      {{"mode", side.name}, {"seconds", m.seconds}, {"started", started}, {"start", start.path()}});
  const ChildOutcome outcome = ask(m.peer, question);
  const auto run = figures(answer(outcome), started - m.begin);
  if (!run || !outcome.succeeded()) {
    side.missing = reason(outcome);
    return;
  }
  side.runs.push_back(*run);
  side.missing = disagreement(ours, run->work, c.loss_tolerance());
  side.differs = !side.missing.empty();
}

std::string profile(const Measuring& m, const Case& c) {
  std::vector<std::string> words = measuring_words(m, c, now());
  words.push_back("--profile");
  const std::string out = run_ours(words).out;
  return out.substr(0, out.size() - last_line(out).size() - 1);
}

}  // namespace trainer::app::bench
