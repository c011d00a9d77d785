#include "lib/train/run_directory.h"

#include <fstream>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

#include "lib/base/log.h"
#include "lib/checkpoint/step_directory.h"
#include "lib/train/hooks/metrics_log.h"
#include "lib/train/hooks/save.h"
#include "tests/error_of.h"
#include "tests/temp_folder.h"
#include "tests/train/rig.h"

using namespace trainer;
using namespace trainer::train;

namespace {

std::optional<int64_t> pointed(const RunDirectory& run, const char* name) {
  return checkpoint::pointed(run.checkpoints(), name);
}

}  // namespace

TEST_CASE("a run directory is new, then used") {
  const TempFolder folder;
  std::string id;
  {
    RunDirectory run(folder / "a" / "b");
    CHECK_FALSE(run.used());
    run.describe("SEED: 0\n", {{"threads", "2"}, {"device", "cpu"}});
    CHECK(read_file(run.file("config.yaml"), Exit::usage) == "SEED: 0\n");
    CHECK(read_file(run.file("derived.yaml"), Exit::usage) == "device: cpu\nthreads: 2\n");
    id = run.id();
    CHECK_FALSE(id.empty());
  }
  const RunDirectory again(folder / "a" / "b");
  CHECK(again.used());
  CHECK(again.id() == id);
  CHECK(RunDirectory(folder / "c").id() != id);
}

TEST_CASE("a run directory is locked") {
  const TempFolder folder;
  const RunDirectory run(folder.path());
  CHECK_THAT(error_of([&] { const RunDirectory second(folder.path()); }),
             ContainsSubstring(folder.path().string()));
}

namespace {

/// Evaluates at the end of each epoch, with these scores.
class Scores final : public Hook {
 public:
  explicit Scores(std::vector<double> scores) : scores_(std::move(scores)) {}
  void on_epoch_end(Trainer& t) override {
    t.report({.step = t.step(), .epoch = t.epoch(), .score = scores_.at(static_cast<size_t>(t.epoch()))});
  }

 private:
  std::vector<double> scores_;
};

}  // namespace

TEST_CASE("the newest checkpoints are kept, and the best one") {
  const double nan = std::nan("");  // the first is better than nothing, later ones are better than none
  const std::vector<double> scores{nan, 0.5, nan, 0.4, 0.6, 0.6, 0.1, 0.2};
  const std::vector<int64_t> best{1, 2, 2, 2, 5, 5, 5, 5};
  for (size_t epochs = 1; epochs <= scores.size(); ++epochs) {
    const TempFolder here;
    const RunDirectory one(here.path());
    Rig rig({.epochs = static_cast<int64_t>(epochs)}, std::make_shared<Line>(4), 4);  // a step an epoch
    rig.trainer->add(std::make_unique<Scores>(scores));
    rig.trainer->add(std::make_unique<SaveHook>(one, RunSettings{.save_keep = 2}, Origin{}));
    rig.trainer->run();
    const auto last = static_cast<int64_t>(epochs);
    CHECK(pointed(one, "latest") == last);
    CHECK(pointed(one, "best") == best[epochs - 1]);
    std::set<int64_t> expected{std::max<int64_t>(1, last - 1), last, best[epochs - 1]};
    const auto steps = checkpoint::committed_steps(one.checkpoints());
    CHECK(std::set(steps.begin(), steps.end()) == expected);
  }
}

TEST_CASE("SAVE_FREQ counts epochs, SAVE_STEPS optimizer steps, and the last step is always saved") {
  const auto steps = [](int64_t freq, int64_t every) {
    const TempFolder folder;
    const RunDirectory run(folder.path());
    Rig rig({.epochs = 5}, std::make_shared<Line>(8), 4);  // two steps an epoch
    rig.trainer->add(std::make_unique<SaveHook>(
        run, RunSettings{.save_freq = freq, .save_steps = every, .save_keep = 100}, Origin{}));
    rig.trainer->run();
    return checkpoint::committed_steps(run.checkpoints());
  };
  using Steps = std::vector<int64_t>;
  CHECK(steps(1, 0) == Steps{2, 4, 6, 8, 10});
  CHECK(steps(3, 0) == Steps{6, 10});
  CHECK(steps(0, 0) == Steps{10});
  CHECK(steps(0, 3) == Steps{3, 6, 9, 10});
}

TEST_CASE("metrics.jsonl: means over the steps of a line, weighted by samples") {
  const TempFolder folder;
  const RunDirectory run(folder.path());
  Rig rig({.epochs = 1}, std::make_shared<Line>(4), 1);  // a plan of 4 steps
  MetricsHook hook(run, 2);
  hook.on_start(*rig.trainer);
  const auto step = [&](int64_t number, int64_t samples, double loss, int64_t skipped) {
    hook.on_step(*rig.trainer,
                 {.step = number, .samples = samples, .loss = loss, .skipped = skipped, .seconds = 0.5});
  };
  step(1, 3, 1.0, 0);
  step(2, 1, 5.0, 0);
  step(3, 1, std::nan(""), 1);
  step(4, 1, 2.0, 1);
  hook.on_finish(*rig.trainer);

  std::vector<nlohmann::json> lines;
  std::stringstream text(read_file(run.file("metrics.jsonl"), Exit::usage));
  for (std::string line; std::getline(text, line);) lines.push_back(nlohmann::json::parse(line));
  REQUIRE(lines.size() == 2);
  CHECK(lines[0]["step"] == 2);
  CHECK(lines[0]["loss"] == 2.0);
  CHECK(lines[0]["samples_per_s"] == 4.0);
  CHECK_FALSE(lines[0].contains("skipped"));
  CHECK_FALSE(lines[0].contains("nonfinite"));
  CHECK(lines[1]["loss"] == 2.0);  // of the step that has one
  CHECK(lines[1]["nonfinite"] == 1);
  CHECK(lines[1]["skipped"] == 1);
}

TEST_CASE("a window of losses: what is not finite is left out and counted, also over a checkpoint") {
  const double nan = std::nan("");
  Window window;
  window.add({.samples = 3, .loss = nan});
  CHECK(std::isnan(window.loss()));
  CHECK_FALSE(window.empty());
  checkpoint::Archive saved;
  saved("window", window);
  Window again;
  checkpoint::Archive loaded(saved.text(), "saved");
  loaded("window", again);
  again.add({.samples = 1, .loss = 6.0});
  again.add({.samples = 2, .loss = 3.0});
  CHECK(again.loss() == 4.0);
  CHECK(again.nonfinite() == 1);

  checkpoint::Archive old(R"({"loss": 8.0, "samples": 4, "seconds": 1.0, "data_seconds": 0.0})", "old");
  again.state(old);  // a checkpoint of before
  CHECK(again.loss() == 2.0);
}

TEST_CASE("a step that is skipped has a line in the log, and under loss scaling TensorBoard has the scale") {
  const auto said = [](const nn::Precision& precision, std::string& events) {
    const TempFolder folder;
    const RunDirectory run(folder.path());
    const std::string log = run.file("log.txt").string();
    log::add_file(log);
    Rig rig({.epochs = 1}, std::make_shared<Line>(12, std::vector<int64_t>{5}), 4, false, alone(), 1, false,
            precision);
    rig.trainer->add(std::make_unique<MetricsHook>(run, 1));
    rig.trainer->run();
    log::remove_file(log);
    for (const auto& entry : fs::directory_iterator(run.file("tb")))
      events = read_file(entry.path(), Exit::usage);
    return read_file(log, Exit::usage);
  };
  std::string events;
  const std::string scaled = said({DType::f16, nn::Precision::Level::O1}, events);
  CHECK_THAT(scaled, ContainsSubstring("step 1 skipped: gradients overflowed; loss scale 65536 -> 32768\n") &&
                         ContainsSubstring("step 2 skipped: loss nan; loss scale 32768 -> 16384\n"));
  CHECK_THAT(scaled, ContainsSubstring("loss nan (1 not finite)") && ContainsSubstring("grad norm nan,"));
  CHECK_THAT(scaled, !ContainsSubstring("-nan") && !ContainsSubstring("step 3 skipped"));
  CHECK_THAT(events, ContainsSubstring("train/loss_scale") && ContainsSubstring("train/skipped"));
  CHECK_THAT(said({}, events), ContainsSubstring("step 2 skipped: loss nan\n"));
  CHECK_THAT(events, ContainsSubstring("train/loss") && !ContainsSubstring("train/loss_scale"));
}

TEST_CASE(
    "the line of a skipped step tells an overflow from a loss, and says when the scale is at its least") {
  const TempFolder folder;
  const RunDirectory run(folder.path());
  const std::string log = run.file("log.txt").string();
  log::add_file(log);
  Rig rig({.epochs = 1}, std::make_shared<Line>(4), 1, false, alone(), 1, false,
          {DType::f16, nn::Precision::Level::O1});
  MetricsHook hook(run, 100);
  hook.on_start(*rig.trainer);
  const double infinity = std::numeric_limits<double>::infinity();
  hook.on_step(*rig.trainer, {.step = 1,
                              .samples = 1,
                              .loss = 2,
                              .grad_norm = infinity,
                              .loss_scale = 0x1p24,
                              .next_loss_scale = 0x1p23,
                              .updated = false,
                              .skipped = 1});
  hook.on_step(*rig.trainer,
               {.step = 2, .samples = 1, .loss = -std::nan(""), .updated = false, .skipped = 2});
  log::remove_file(log);
  const std::string text = read_file(log, Exit::usage);
  CHECK_THAT(text,
             ContainsSubstring("step 1 skipped: gradients overflowed; loss scale 16777216 -> 8388608\n"));
  CHECK_THAT(text, ContainsSubstring("step 2 skipped: loss nan; loss scale 1, its least\n"));
}
