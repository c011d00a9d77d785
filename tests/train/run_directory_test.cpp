#include "lib/train/run_directory.h"

#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "lib/train/hooks/metrics_log.h"
#include "lib/train/hooks/save.h"
#include "tests/catch.h"
#include "tests/temp_folder.h"
#include "tests/train/rig.h"

using namespace trainer;
using namespace trainer::train;

namespace {

std::string pointer(const RunDirectory& run, const char* name) {
  return read_file(run.path() / "checkpoints" / name, Exit::weights);
}
bool saved(const RunDirectory& run, int64_t step) {
  return fs::exists(run.checkpoint(step) / "model.safetensors");
}

}  // namespace

TEST_CASE("a run directory is new, then used") {
  const TempFolder folder;
  {
    RunDirectory run(folder / "a" / "b");
    CHECK_FALSE(run.used());
    CHECK_FALSE(run.latest_step());
    run.describe("SEED: 0\n", {{"threads", "2"}, {"device", "cpu"}});
    CHECK(read_file(run.file("config.yaml"), Exit::usage) == "SEED: 0\n");
    CHECK(read_file(run.file("derived.yaml"), Exit::usage) == "device: cpu\nthreads: 2\n");
    run.point("latest", 1200);
    CHECK(pointer(run, "latest") == "step-00001200\n");
  }
  const RunDirectory again(folder / "a" / "b");
  CHECK(again.used());
  CHECK(again.latest_step() == 1200);
}

TEST_CASE("a pointer that names no step is no checkpoint") {
  const TempFolder folder;
  const RunDirectory run(folder.path());
  for (const char* text : {"", "step-", "step-x", "elsewhere"}) {
    std::ofstream(folder / "checkpoints" / "latest") << text;
    CHECK_FALSE(run.latest_step());
  }
}

TEST_CASE("a run directory is locked") {
  const TempFolder folder;
  const RunDirectory run(folder.path());
  try {
    const RunDirectory second(folder.path());
    FAIL("no error");
  } catch (const Error& e) {
    CHECK(e.code() == Exit::usage);
    CHECK_THAT(e.what(), ContainsSubstring(folder.path().string()));
  }
}

TEST_CASE("the best and the last weights are kept, nothing else") {
  const TempFolder folder;
  RunDirectory run(folder.path());
  Rig rig({.epochs = 1}, std::make_shared<Line>(4), 4);
  SaveHook hook(run);
  const auto evaluated = [&](int64_t step, double score) {
    hook.on_evaluation(*rig.trainer, {.step = step, .score = score});
  };
  const double nan = std::nan("");
  evaluated(10, nan);  // better than nothing
  CHECK(pointer(run, "best") == "step-00000010\n");
  evaluated(20, 0.5);
  CHECK(pointer(run, "best") == "step-00000020\n");
  CHECK_FALSE(fs::exists(run.checkpoint(10)));
  evaluated(30, nan);
  evaluated(40, 0.4);
  evaluated(50, 0.5);
  CHECK(pointer(run, "best") == "step-00000020\n");
  CHECK_FALSE(fs::exists(run.checkpoint(30)));
  evaluated(60, 0.6);
  CHECK(pointer(run, "best") == "step-00000060\n");

  rig.trainer->run();
  hook.on_finish(*rig.trainer);
  CHECK(pointer(run, "latest") == "step-00000001\n");
  CHECK(saved(run, 60));
  CHECK(saved(run, 1));
  CHECK_FALSE(fs::exists(run.checkpoint(20)));
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
  CHECK(lines[1]["loss"].is_null());  // JSON has no NaN
  CHECK(lines[1]["skipped"] == 1);
}
