// A run that is cut in two at any step is the run that was not cut.
#include "lib/train/resume.h"

#include <sstream>

#include "lib/checkpoint/step_directory.h"
#include "lib/io/safetensors.h"
#include "lib/train/evaluate.h"
#include "lib/train/hooks/metrics_log.h"
#include "lib/train/hooks/save.h"
#include "tests/error_of.h"
#include "tests/temp_folder.h"
#include "tests/train/rig.h"

using namespace trainer;
using namespace trainer::train;

namespace {

constexpr int64_t epochs = 3;

/// A run in a directory: it saves at each step, evaluates, writes metrics.jsonl.
struct Run {
  explicit Run(const fs::path& path, int64_t max_steps = 0, const nn::Precision& precision = {})
      : directory(path),
        rig({.epochs = epochs, .max_steps = max_steps, .accumulation_steps = 2}, data(), 2, false, alone(), 1,
            false, precision) {
    Metrics metrics;
    metrics.emplace_back("mse", metrics::metrics().make("mse", config::Config::defaults().group("TEST")));
    rig.trainer->add(std::make_unique<EvaluateHook>(
        std::make_unique<data::Loader>(data(), data::Sampler({.size = 9, .batch_size = 4}),
                                       data::LoaderConfig{.batch_size = 4, .num_workers = 0}),
        std::move(metrics)));
    rig.trainer->add(std::make_unique<MetricsHook>(directory, 3));
    rig.trainer->add(std::make_unique<SaveHook>(
        directory, RunSettings{.save_freq = 0, .save_steps = 1, .save_keep = 100}, Origin{}));
  }
  static std::shared_ptr<const data::Dataset> data() { return std::make_shared<Line>(9); }
  void go_on_from(const fs::path& checkpoint) { restore(*rig.trainer, Origin{}, checkpoint); }
  std::vector<std::string> log() const {
    std::vector<std::string> lines;
    std::stringstream text(read_file(directory.file("metrics.jsonl"), Exit::usage));
    for (std::string line; std::getline(text, line);) {
      const size_t speed = line.find("\"samples_per_s\"");  // the only thing that time decides
      if (speed != std::string::npos) line.erase(speed, line.find(',', speed) - speed);
      lines.push_back(line);
    }
    return lines;
  }

  RunDirectory directory;
  Rig rig;
};

std::string bytes(const RunDirectory& run, int64_t step, const char* file) {
  return read_file(run.checkpoints() / checkpoint::step_name(step) / file, Exit::weights);
}

/// The state without what differs: the speed in the window of a line, and where the run and its log are.
std::string state(const RunDirectory& run, int64_t step) {
  std::stringstream text(bytes(run, step, "state.json"));
  std::string all;
  for (std::string line; std::getline(text, line);) {
    if (line.find("seconds") == std::string::npos && line.find("\"lines\"") == std::string::npos &&
        line.find("\"directory\"") == std::string::npos)
      all += line + "\n";
  }
  return all;
}

}  // namespace

TEST_CASE("a run goes on from any step as if it had not been interrupted") {
  const TempFolder folder;
  Run whole(folder / "whole");
  whole.rig.trainer->run();
  const int64_t last = whole.rig.trainer->step();
  REQUIRE(last == 9);

  for (int64_t cut = 1; cut < last; ++cut) {
    CAPTURE(cut);
    const fs::path path = folder / std::to_string(cut);
    { Run(path, cut).rig.trainer->run(); }
    // The first part ended at `cut` with an evaluation that the whole run did not make there; what is saved
    // before it is the whole run's.
    fs::copy(folder / "whole" / "checkpoints" / checkpoint::step_name(cut), folder / "cut",
             fs::copy_options::recursive);
    Run second(path);
    second.go_on_from(folder / "cut");
    second.rig.trainer->run();
    CHECK(bytes(second.directory, last, "model.safetensors") ==
          bytes(whole.directory, last, "model.safetensors"));
    CHECK(bytes(second.directory, last, "state.safetensors") ==
          bytes(whole.directory, last, "state.safetensors"));
    CHECK(state(second.directory, last) == state(whole.directory, last));
    fs::remove_all(folder / "cut");
  }
}

TEST_CASE("metrics.jsonl is cut back to the checkpoint and goes on there") {
  const TempFolder folder;
  std::vector<std::string> whole;
  {
    Run run(folder / "run");
    run.rig.trainer->run();
    whole = run.log();
  }
  for (int64_t cut = 1; cut <= 9; ++cut) {
    CAPTURE(cut);
    Run again(folder / "run");
    again.go_on_from(folder / "run" / "checkpoints" / checkpoint::step_name(cut));
    if (again.rig.trainer->finished()) continue;
    again.rig.trainer->run();
    CHECK(again.log() == whole);
  }
}

TEST_CASE("a finished run is finished, and goes on when there is more to do") {
  const TempFolder folder;
  { Run(folder / "run", 4).rig.trainer->run(); }
  const fs::path end = folder / "run" / "checkpoints" / "step-00000004";
  {
    Run same(folder / "run", 4);
    same.go_on_from(end);
    CHECK(same.rig.trainer->finished());
  }
  Run longer(folder / "run", 6);
  longer.go_on_from(end);
  CHECK_FALSE(longer.rig.trainer->finished());
  longer.rig.trainer->run();
  CHECK(longer.rig.trainer->step() == 6);
}

TEST_CASE("what changed since a checkpoint is judged key by key") {
  CHECK(effect_of("PRINT_FREQ") == Effect::none);
  CHECK(effect_of("SAVE_STEPS") == Effect::none);
  CHECK(effect_of("THREADS") == Effect::bits);
  CHECK(effect_of("TRAIN.EPOCHS") == Effect::course);
  CHECK(effect_of("TRAIN.LR_SCHEDULER.NAME") == Effect::course);
  CHECK(effect_of("TRAIN.OPTIMIZER.NAME") == Effect::refused);
  CHECK(effect_of("MODEL.NAME") == Effect::refused);
  CHECK(effect_of("SEED") == Effect::refused);

  const Origin before{.config = {"SEED: 0", "TAG: 'a'", "TRAIN.EPOCHS: 3"},
                      .data = "9 samples",
                      .global_batch = 4,
                      .precision = "f32"};
  Origin now = before;
  CHECK(compare(before, now).empty());
  now.config = {"NEW.KEY: 1", "SEED: 0", "TAG: 'b'", "TRAIN.EPOCHS: 5"};
  now.world_size = 2;
  const auto changes = compare(before, now);
  REQUIRE(changes.size() == 3);
  CHECK(changes[1].key == "TRAIN.EPOCHS");
  CHECK(changes[2].key == "processes");
  check_changes(changes, "here");

  Origin one = before, two = before;
  one.threads = 1;
  two.threads = 2;
  CHECK(compare(one, two).at(0).effect == Effect::bits);
  one.config.push_back("DETERMINISTIC: True");
  CHECK(compare(one, two).at(0).effect == Effect::bits);
  two.config.push_back("DETERMINISTIC: True");
  CHECK(compare(one, two).at(0).effect == Effect::none);

  now = before;
  now.precision = "f16 (O1)";  // DEVICE auto has found a GPU: no key says so
  const auto other = compare(before, now);
  REQUIRE(other.size() == 1);
  CHECK(other[0].key == "precision");
  CHECK(other[0].before == "f32");
  CHECK(other[0].after == "f16 (O1)");
  CHECK(other[0].effect == Effect::course);

  now.config[0] = "SEED: 1";
  now.global_batch = 8;
  CHECK_THAT(error_of([&] { check_changes(compare(before, now), "here"); }),
             ContainsSubstring("SEED: 0 -> 1") && ContainsSubstring("samples of a global batch: 4 -> 8"));
}

TEST_CASE("the fingerprint of data is that of what the dataset holds") {
  const auto of = [](const std::string& transforms) {
    config::Config config = config::Config::defaults();
    config.merge_opts(std::vector<std::string>{"DATA.DATASET", "digits", "DATA.IMG_SIZE", "8",
                                               "DATA.TRANSFORMS.TRAIN", transforms});
    return fingerprint(*data::make_dataset(config.root(), {}));
  };
  CHECK(of("['resize']") == of("[]"));

  class Broken final : public data::Dataset {
   public:
    const data::Spec& spec() const override { return spec_; }
    int64_t size() const override { return 3; }
    void read(int64_t, const Rng&, const data::Sample&) const override { fail(Exit::data, "is empty"); }
    std::string name_of(int64_t i) const override { return fmt::format("image {}", i); }

   private:
    data::Spec spec_{.input = {0, 0, 3}};
  };
  CHECK_THROWS_WITH(fingerprint(Broken()), "image 0: is empty");
}

TEST_CASE("where a run begins") {
  const TempFolder folder;
  Settings s(config::Config::defaults());
  {
    const RunDirectory empty(folder / "empty");
    CHECK(choose_checkpoint(empty, s, false).empty());
  }
  {
    Run run(folder / "run");
    run.directory.describe("SEED: 0\n", {});
    run.rig.trainer->run();
  }
  const fs::path checkpoints = folder / "run" / "checkpoints";
  const auto code_of = [&](const RunDirectory& run, bool restarted = false) {
    try {
      choose_checkpoint(run, s, restarted);
    } catch (const Error& e) {
      return e.code();
    }
    return Exit::ok;
  };
  {
    const RunDirectory run(folder / "run");
    CHECK(choose_checkpoint(run, s, false) == (checkpoints / "step-00000009").string());
    fs::resize_file(checkpoints / "step-00000009" / "state.safetensors", 10);
    CHECK(choose_checkpoint(run, s, false) == (checkpoints / "step-00000008").string());
    s.model.resume = (checkpoints / "step-00000008").string();
    CHECK(choose_checkpoint(run, s, false) == s.model.resume);
    s.model.resume = (checkpoints / "step-00000005").string();
    CHECK(code_of(run) == Exit::usage);  // would overwrite steps 6 to 8
    s.model.resume.clear();
    s.train.auto_resume = false;
    CHECK(code_of(run) == Exit::usage);
    CHECK(code_of(run, true) == Exit::ok);
  }
  s.train.auto_resume = true;
  s.model.resume = (folder / "run").string();
  {
    const RunDirectory other(folder / "other");
    CHECK(choose_checkpoint(other, s, false) == (checkpoints / "step-00000008").string());
    s.model.resume = (folder / "nowhere").string();
    CHECK(code_of(other) == Exit::weights);
  }
}

TEST_CASE("under mixed precision a checkpoint holds what is trained, and a run goes on bit for bit") {
  using Level = nn::Precision::Level;
  for (const nn::Precision precision :
       {nn::Precision{DType::bf16, Level::O1}, nn::Precision{DType::bf16, Level::O2},
        nn::Precision{DType::bf16, Level::O3}, nn::Precision{DType::f16, Level::O1}}) {
    INFO(name_of(precision.compute) << ", O" << static_cast<int>(precision.level));
    const TempFolder folder;
    Run whole(folder / "whole", 0, precision);
    whole.rig.trainer->run();
    { Run(folder / "first", 4, precision).rig.trainer->run(); }
    Run second(folder / "second", 0, precision);
    second.go_on_from(folder / "first" / "checkpoints" / checkpoint::step_name(4));
    second.rig.trainer->run();
    CHECK(second.rig.values() == whole.rig.values());
    const int64_t last = second.rig.trainer->step();
    for (const char* file : {"model.safetensors", "state.safetensors"})
      CHECK(bytes(second.directory, last, file) == bytes(whole.directory, last, file));
    const io::SafetensorsFile saved(
        second.directory.checkpoints() / checkpoint::step_name(last) / "model.safetensors", Exit::weights);
    for (const io::TensorInfo& info : saved.tensors()) CHECK(info.dtype == DType::f32);
  }
}
