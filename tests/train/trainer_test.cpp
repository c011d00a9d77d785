#include "lib/train/trainer.h"

#include "lib/ops/elementwise.h"
#include "lib/train/evaluate.h"
#include "lib/train/hooks/profile.h"
#include "tests/error_of.h"
#include "tests/train/rig.h"

using namespace trainer;
using namespace trainer::train;

namespace {

std::vector<StepReport> reports_of(Rig& rig) {
  std::vector<StepReport> reports;
  each_step(rig, [&](Trainer&, const StepReport& r) { reports.push_back(r); });
  rig.trainer->run();
  return reports;
}

/// Writes down what it is told.
class Diary final : public Hook {
 public:
  Diary(std::string name, std::vector<std::string>& lines) : name_(std::move(name)), lines_(lines) {}
  void on_start(Trainer&) override { write("start"); }
  void on_step(Trainer& t, const StepReport& r) override {
    write(fmt::format("step {} of epoch {}", r.step, t.epoch()));
  }
  void on_epoch_end(Trainer& t) override { write(fmt::format("end of epoch {}", t.epoch())); }
  void on_evaluation(Trainer&, const Evaluation& e) override {
    write(fmt::format("evaluation at {}", e.step));
  }
  void on_finish(Trainer&) override { write("finish"); }

 private:
  void write(const std::string& what) { lines_.push_back(name_ + ": " + what); }
  std::string name_;
  std::vector<std::string>& lines_;
};

}  // namespace

TEST_CASE("the plan of a run") {
  const auto plan = [](const TrainerConfig& c, int64_t size, int64_t batch, bool drop_last) {
    const data::Loader loader = make_loader(std::make_shared<Line>(size), batch, drop_last);
    return make_plan(c, loader);
  };
  const Plan whole = plan({.epochs = 3}, 10, 4, false);
  CHECK(whole.steps_per_epoch == 3);
  CHECK(whole.total_steps == 9);
  CHECK(whole.epochs == 3);
  CHECK(whole.effective_batch == 4);

  CHECK(plan({.epochs = 3}, 10, 4, true).steps_per_epoch == 2);

  const Plan accumulated = plan({.epochs = 2, .accumulation_steps = 2}, 10, 4, false);
  CHECK(accumulated.steps_per_epoch == 2);
  CHECK(accumulated.total_steps == 4);
  CHECK(accumulated.effective_batch == 8);

  const Plan capped = plan({.epochs = 3, .max_steps = 4}, 10, 4, false);
  CHECK(capped.total_steps == 4);
  CHECK(capped.epochs == 2);
  CHECK(plan({.epochs = 3, .max_steps = 100}, 10, 4, false).total_steps == 9);
  CHECK(plan({.epochs = 0}, 10, 4, false).total_steps == 0);
}

TEST_CASE("micro-batches are normalised by the samples of their window, the last one's too") {
  // 9 samples: windows of 2 + 2 + 2 and 2 + 1 are the batches 6 and 3.
  Rig whole({.epochs = 2}, std::make_shared<Line>(9), 6);
  Rig micro({.epochs = 2, .accumulation_steps = 3}, std::make_shared<Line>(9), 2);
  const auto a = reports_of(whole), b = reports_of(micro);
  REQUIRE(a.size() == 4);
  REQUIRE(b.size() == 4);
  for (size_t i = 0; i < a.size(); ++i) {
    CHECK(b[i].samples == a[i].samples);
    CHECK(b[i].loss == Approx(a[i].loss).epsilon(1e-5));
    CHECK(b[i].grad_norm == Approx(a[i].grad_norm).epsilon(1e-5));
  }
  CHECK(a[1].samples == 3);
  const auto x = whole.values(), y = micro.values();
  for (size_t i = 0; i < x.size(); ++i) CHECK(y[i] == Approx(x[i]).margin(1e-6));
}

TEST_CASE("training minimises the loss, and reports what it does") {
  Rig rig({.epochs = 200}, std::make_shared<Line>(16), 8);
  const auto reports = reports_of(rig);
  REQUIRE(reports.size() == 400);
  CHECK(reports.back().loss < 1e-4 * reports.front().loss);
  CHECK(reports[0].step == 1);
  CHECK(reports[2].epoch == 1);
  CHECK(reports[0].lr == 0.05);
  CHECK(reports.back().skipped == 0);
  CHECK(reports[0].seconds >= reports[0].data_seconds);
}

TEST_CASE("MAX_STEPS ends a run in the middle of an epoch") {
  Rig rig({.epochs = 5, .max_steps = 4}, std::make_shared<Line>(12), 4);
  std::vector<std::string> lines;
  rig.trainer->add(std::make_unique<Diary>("a", lines));
  rig.trainer->run();
  CHECK(rig.trainer->step() == 4);
  CHECK(lines == std::vector<std::string>{"a: start", "a: step 1 of epoch 0", "a: step 2 of epoch 0",
                                          "a: step 3 of epoch 0", "a: end of epoch 0", "a: step 4 of epoch 1",
                                          "a: end of epoch 1", "a: finish"});
}

TEST_CASE("hooks are called in order, and may stop the run") {
  Rig rig({.epochs = 10}, std::make_shared<Line>(12), 4);
  std::vector<std::string> lines;
  rig.trainer->add(std::make_unique<Diary>("a", lines));
  each_step(rig, [](Trainer& t, const StepReport& r) {
    if (r.step == 2) t.stop();
  });
  rig.trainer->add(std::make_unique<Diary>("b", lines));
  rig.trainer->run();
  CHECK(rig.trainer->step() == 2);
  CHECK(lines == std::vector<std::string>{"a: start", "b: start", "a: step 1 of epoch 0",
                                          "b: step 1 of epoch 0", "a: step 2 of epoch 0",
                                          "b: step 2 of epoch 0", "a: finish", "b: finish"});
}

TEST_CASE("a step that is not finite changes nothing and is counted") {
  Rig rig({.epochs = 1, .max_nonfinite = 2}, std::make_shared<Line>(10, std::vector<int64_t>{2, 6}), 2);
  std::vector<std::vector<float>> values{rig.values()};
  std::vector<StepReport> reports;
  each_step(rig, [&](Trainer&, const StepReport& r) {
    values.push_back(rig.values());
    reports.push_back(r);
  });
  rig.trainer->run();
  REQUIRE(reports.size() == 5);
  const std::vector<int64_t> skipped{0, 1, 1, 2, 2};
  for (size_t i = 0; i < reports.size(); ++i) {
    const bool broken = i == 1 || i == 3;
    CHECK(std::isfinite(reports[i].loss) != broken);
    CHECK((values[i] == values[i + 1]) == broken);
    CHECK(reports[i].skipped == skipped[i]);
    CHECK(reports[i].step == static_cast<int64_t>(i) + 1);
  }
  for (const float v : values.back()) CHECK(std::isfinite(v));
}

TEST_CASE("too many steps in a row that are not finite end the run") {
  Rig rig({.epochs = 1, .max_nonfinite = 2}, std::make_shared<Line>(10, std::vector<int64_t>{2, 5}), 2);
  CHECK_THAT(
      error_of([&] { rig.trainer->run(); }, Exit::diverged),
      ContainsSubstring("loss nan") && ContainsSubstring("step 3") && ContainsSubstring("2 steps in a row"));
}

TEST_CASE("a run that diverges names the first sample that is not finite, and else says that all are") {
  const auto said = [](const TrainerConfig& recipe, std::vector<int64_t> broken) {
    Rig rig(recipe, std::make_shared<Line>(12, std::move(broken)), 2);
    return error_of([&] { rig.trainer->run(); }, Exit::diverged);
  };
  CHECK_THAT(said({.max_nonfinite = 1}, {7, 5}),
             ContainsSubstring("1 step in a row; the input of row 1 of the batch (line: sample 5) is nan") &&
                 !ContainsSubstring("BASE_LR"));
  // Of a micro-batch that is long gone, in the second epoch.
  CHECK_THAT(said({.epochs = 2, .accumulation_steps = 3, .max_nonfinite = 3}, {2, 8}),
             ContainsSubstring("at step 3") &&
                 ContainsSubstring("the input of row 0 of micro-batch 2 (line: sample 2) is nan"));

  Rig rig({.max_nonfinite = 1}, std::make_shared<Line>(12), 2);
  rig.parameters->values().span<float>()[0] = std::numeric_limits<float>::infinity();
  CHECK_THAT(error_of([&] { rig.trainer->run(); }, Exit::diverged),
             ContainsSubstring(
                 "(learning rate 0.05). The step's inputs and targets are finite. A lower TRAIN.BASE_LR"));
}

TEST_CASE("a target that is not finite is named as well") {
  /// A target that is infinite in one sample, before an input that is NaN.
  class Targets final : public data::Dataset {
   public:
    const data::Spec& spec() const override { return line_.spec(); }
    int64_t size() const override { return line_.size(); }
    void read(int64_t index, const Rng& rng, const data::Sample& into) const override {
      line_.read(index, rng, into);
      if (index == 1) into.target[0] = -std::numeric_limits<float>::infinity();
    }
    std::string name_of(int64_t index) const override { return line_.name_of(index); }

   private:
    Line line_{4, {2}};
  };
  Rig rig({.max_nonfinite = 1}, std::make_shared<Targets>(), 4);
  CHECK_THAT(error_of([&] { rig.trainer->run(); }, Exit::diverged),
             ContainsSubstring("the target of row 1 of the batch (line: sample 1) is -inf"));
}

TEST_CASE("evaluation counts each sample once and restores the mode") {
  Rig rig({.epochs = 1}, std::make_shared<Line>(4), 4);
  const auto dataset = std::make_shared<Line>(11);
  const auto result_with = [&](int64_t batch) {
    data::Loader loader = make_loader(dataset, batch);
    Metrics metrics;
    metrics.emplace_back("mae", metrics::metrics().make("mae", config::Config::defaults().group("TEST")));
    nn::Context context{.training = true};
    nn::attach(rig.model, context);
    const Evaluation result = *evaluate(rig.model, context, *rig.loss, metrics, loader, *rig.comm);
    CHECK(context.training);
    nn::detach(rig.model);
    return result;
  };

  double squares = 0, errors = 0;
  const NoGrad no_grad;
  for (int64_t i = 0; i < dataset->size(); ++i) {
    std::vector<float> x(2), y(1);
    dataset->read(i, Rng(0), {.input = x, .target = y});
    const Tensor out = rig.model(Var(Tensor::of<float>(std::span<const float>(x), {1, 2}))).value();
    const double error = out.item() - double{y[0]};
    squares += error * error;
    errors += std::abs(error);
  }
  for (const int64_t batch : {1, 4, 11, 64}) {
    const Evaluation result = result_with(batch);
    CHECK(result.samples == 11);
    CHECK(result.loss == Approx(squares / 11).epsilon(1e-6));
    REQUIRE(result.metrics.size() == 1);
    CHECK(result.metrics[0].second == Approx(errors / 11).epsilon(1e-6));
    CHECK(result.score == -result.metrics[0].second);  // an error: lower is better
  }
}

TEST_CASE("an evaluation that is given up has no result") {
  Rig rig({.epochs = 1}, std::make_shared<Line>(4), 2);
  data::Loader loader = make_loader(std::make_shared<Line>(6), 2);
  nn::Context context{.training = true};
  int batches = 0;
  CHECK_FALSE(evaluate(rig.model, context, *rig.loss, {}, loader, *rig.comm, [&] { return ++batches == 2; }));
  CHECK(batches == 2);
  CHECK(context.training);
}

TEST_CASE("evaluations reach every hook, with their step") {
  Rig rig({.epochs = 2}, std::make_shared<Line>(4), 4);
  std::vector<std::string> lines;
  rig.trainer->add(std::make_unique<Diary>("a", lines));
  const auto validation = std::make_shared<Line>(3);
  rig.trainer->add(std::make_unique<EvaluateHook>(
      std::make_unique<data::Loader>(validation, data::Sampler({.size = 3, .batch_size = 2}),
                                     data::LoaderConfig{.batch_size = 2, .num_workers = 0}),
      Metrics{}));
  rig.trainer->run();
  CHECK(std::ranges::count(lines, "a: evaluation at 1") == 1);
  CHECK(std::ranges::count(lines, "a: evaluation at 2") == 1);
  REQUIRE(rig.trainer->last_evaluation());
  CHECK(rig.trainer->last_evaluation()->score == -rig.trainer->last_evaluation()->loss);
}

TEST_CASE("a profile is of steps after the warm-up, and not of what comes between them") {
  /// Ops of its own where evaluation would have them.
  class Busy final : public Hook {
    void on_epoch_end(Trainer&) override { ops::cast(Tensor::zeros({3}), DType::f16); }
  };
  const auto profile = [](int64_t steps) {
    Rig rig({.epochs = 3}, std::make_shared<Line>(16), 4);  // twelve steps
    int64_t counted = 0, updates = 0;
    bool others = false;
    rig.trainer->add(std::make_unique<ProfileHook>(steps, [&](const ProfileHook::Result& r) {
      CHECK(counted == 0);
      CHECK(r.seconds > 0);
      counted = r.steps;
      for (const Profile::Entry& e : r.profile.entries()) {
        if (e.op == "sgd_step") updates += e.calls;
        others |= e.op == "cast";
      }
    }));
    rig.trainer->add(std::make_unique<Busy>());
    rig.trainer->run();
    CHECK(updates == counted);
    CHECK_FALSE(others);
    return counted;
  };
  CHECK(profile(4) == 4);
  CHECK(profile(0) == 10);
  CHECK(profile(100) == 10);
}
