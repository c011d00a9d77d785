#include "lib/optim/schedule.h"

#include <fstream>
#include <nlohmann/json.hpp>

#include "lib/config/config.h"
#include "lib/optim/lr_scaling.h"
#include "tests/catch.h"

namespace trainer::optim {
namespace {

constexpr ScheduleArgs run{.base_lr = 0.1,
                           .warmup_lr = 0.01,
                           .min_lr = 0.001,
                           .warmup_steps = 4,
                           .total_steps = 20,
                           .steps_per_epoch = 2};

std::unique_ptr<Schedule> make(const std::string& name, const ScheduleArgs& args,
                               std::vector<std::string> keys = {}) {
  config::Config config = config::Config::defaults();
  for (size_t i = 0; i < keys.size(); i += 2) keys[i] = "TRAIN.LR_SCHEDULER." + keys[i];
  config.merge_opts(keys);
  return schedules().make(name, config.group("TRAIN.LR_SCHEDULER"), args);
}

TEST_CASE("every update's learning rate is that of Swin's schedules on timm") {
  std::ifstream file(TESTS_DIR "/golden/schedules.json");
  REQUIRE(file);
  const auto golden = nlohmann::json::parse(file);
  const int64_t per_epoch = golden["steps_per_epoch"];
  for (const auto& c : golden["cases"]) {
    INFO(c["name"] << ", epochs " << c["epochs"] << ", warm-up " << c["warmup_epochs"] << ", prefix "
                   << c["warmup_prefix"]);
    const ScheduleArgs args{.base_lr = c["base_lr"],
                            .warmup_lr = c["warmup_lr"],
                            .min_lr = c["min_lr"],
                            .warmup_steps = c["warmup_epochs"].get<int64_t>() * per_epoch,
                            .total_steps = c["epochs"].get<int64_t>() * per_epoch,
                            .steps_per_epoch = per_epoch};
    const auto schedule =
        make(c["name"], args,
             {"DECAY_EPOCHS", c["decay_epochs"].dump(), "DECAY_RATE", c["decay_rate"].dump(), "GAMMA",
              c["gamma"].dump(), "MULTISTEPS", c["multisteps"].dump(), "WARMUP_PREFIX",
              c["warmup_prefix"].get<bool>() ? "True" : "False"});
    int64_t done = 0;
    for (const double lr : c["lr"]) {
      INFO("update " << done);
      CHECK(schedule->lr(done) == Approx(lr).epsilon(1e-12));
      ++done;
    }
    CHECK(done == args.total_steps);
  }
}

TEST_CASE("warm-up rises from warmup_lr and ends at base_lr") {
  for (const std::string& name : schedules().names()) {
    INFO(name);
    const auto schedule = make(name, run);
    CHECK(schedule->lr(0) == 0.01);
    CHECK(schedule->lr(2) == Approx(0.055));
    CHECK(schedule->lr(4) == Approx(0.1));
  }
}

TEST_CASE("a schedule without warm-up begins at base_lr") {
  ScheduleArgs args = run;
  args.warmup_steps = 0;
  for (const std::string& name : schedules().names()) {
    INFO(name);
    CHECK(make(name, args)->lr(0) == 0.1);
  }
}

TEST_CASE("a run may be shorter than its warm-up, and an update may lie beyond its end") {
  ScheduleArgs args = run;
  args.total_steps = 2;
  for (const std::string& name : schedules().names()) {
    INFO(name);
    const auto schedule = make(name, args);
    CHECK(schedule->lr(1) == Approx(0.0325));
    for (const int64_t done : {4, 5, 1000}) {
      CHECK(schedule->lr(done) >= 0);
      CHECK(schedule->lr(done) <= 0.1);
    }
  }
  CHECK(make("cosine", run)->lr(run.total_steps + 5) == run.min_lr);
  CHECK(make("linear", run)->lr(run.total_steps + 5) == Approx(0.001));
}

TEST_CASE("constant stays at base_lr") { CHECK(make("constant", run)->lr(19) == 0.1); }

TEST_CASE("multistep refuses decays out of order or during the warm-up") {
  CHECK_THROWS_WITH(make("multistep", run, {"MULTISTEPS", "[8, 4]"}),
                    ContainsSubstring("MULTISTEPS [8, 4] is not ascending"));
  CHECK_THROWS_WITH(make("multistep", run, {"MULTISTEPS", "[1, 4]"}), ContainsSubstring("epoch 1"));
  CHECK_NOTHROW(make("multistep", run, {"MULTISTEPS", "[2, 4]"}));
}

TEST_CASE("the learning rate follows the batch") {
  CHECK(lr_scale("linear", 1024, 512) == 2);
  CHECK(lr_scale("sqrt", 2048, 512) == 2);
  CHECK(lr_scale("none", 2048, 512) == 1);
  CHECK_THROWS_WITH(lr_scale("quadratic", 1, 1), ContainsSubstring("TRAIN.LR_SCALING 'quadratic'"));
}

}  // namespace
}  // namespace trainer::optim
