// Several ranks train as one does: threads of this process, a LocalHub between them.

#include "lib/comm/local.h"
#include "lib/train/evaluate.h"
#include "lib/train/run_state.h"
#include "tests/catch.h"
#include "tests/train/rig.h"

using namespace trainer;
using namespace trainer::train;

namespace {

struct Result {
  std::vector<StepReport> steps;
  std::vector<float> values;
  Evaluation evaluation;
};

/// Trains on 1, 2 or more ranks with the same global batch. Every rank begins with weights of its own.
std::vector<Result> train_on(int ranks, const TrainerConfig& recipe, int64_t samples, int64_t global_batch,
                             bool sync_bn = false) {
  comm::LocalHub hub(ranks, 20);
  std::vector<Result> results(static_cast<size_t>(ranks));
  on_ranks(ranks, [&](int rank) {
    Result& result = results[static_cast<size_t>(rank)];
    Rig rig(recipe, std::make_shared<Line>(samples), global_batch / ranks, false,
            ranks == 1 ? alone() : hub.join(rank), static_cast<uint64_t>(rank + 1), sync_bn);
    begin_together(rig.model, *rig.comm);
    each_step(rig, [&](Trainer&, const StepReport& r) { result.steps.push_back(r); });
    rig.trainer->run();
    result.values = rig.values();
    Metrics metrics;
    metrics.emplace_back("mse", metrics::metrics().make("mse", config::Config::defaults().group("TEST")));
    data::Loader loader = make_loader(std::make_shared<Line>(11), 2, false, rank, ranks);
    result.evaluation = *evaluate(rig.model, rig.trainer->context(), *rig.loss, metrics, loader, *rig.comm);
  });
  return results;
}

}  // namespace

TEST_CASE("ranks together train as one rank with the whole batch, a smaller last batch included") {
  // 13 samples in global batches of 6: the last batch has one sample, which one of the ranks gets.
  for (const int64_t accumulation : {1, 2}) {
    const TrainerConfig recipe{.epochs = 3, .accumulation_steps = accumulation, .clip_grad = 0.5};
    const Result one = train_on(1, recipe, 13, 6).front();
    for (const int ranks : {2, 3}) {
      CAPTURE(accumulation, ranks);
      const auto all = train_on(ranks, recipe, 13, 6);
      for (const Result& r : all) {
        REQUIRE(r.steps.size() == one.steps.size());
        for (size_t i = 0; i < one.steps.size(); ++i) {
          CHECK(r.steps[i].loss == Approx(one.steps[i].loss).epsilon(1e-5));
          CHECK(r.steps[i].grad_norm == Approx(one.steps[i].grad_norm).epsilon(1e-5));
          CHECK(r.steps[i].samples == one.steps[i].samples);
        }
        for (size_t i = 0; i < one.values.size(); ++i)
          CHECK(r.values[i] == Approx(one.values[i]).margin(1e-6));
        CHECK(r.values == all.front().values);  // the ranks do not drift apart by a bit
        CHECK(r.evaluation.samples == 11);
        CHECK(r.evaluation.loss == Approx(one.evaluation.loss).epsilon(1e-6));
      }
    }
  }
}

TEST_CASE("SyncBN: a rank without a sample in the last batch takes part in its statistics") {
  // 14 samples in global batches of 6: the last batch has two samples for three ranks.
  const TrainerConfig recipe{.epochs = 3};
  const Result one = train_on(1, recipe, 14, 6, true).front();
  for (const Result& r : train_on(3, recipe, 14, 6, true)) {
    REQUIRE(r.steps.size() == one.steps.size());
    for (size_t i = 0; i < one.steps.size(); ++i) {
      CHECK(r.steps[i].loss == Approx(one.steps[i].loss).epsilon(1e-5));
    }
    CHECK(r.evaluation.loss == Approx(one.evaluation.loss).epsilon(1e-5));
  }
}

TEST_CASE("a gradient that is not finite on one rank is skipped by all") {
  comm::LocalHub hub(2, 20);
  std::vector<int64_t> skipped(2);
  std::vector<std::vector<float>> values(2);
  on_ranks(2, [&](int rank) {
    // Sample 1 is broken: rank 0 reads it in the first step.
    Rig rig({.epochs = 1}, std::make_shared<Line>(12, std::vector<int64_t>{1}), 2, false, hub.join(rank));
    each_step(rig, [&](Trainer&, const StepReport& r) { skipped[static_cast<size_t>(rank)] = r.skipped; });
    rig.trainer->run();
    values[static_cast<size_t>(rank)] = rig.values();
  });
  CHECK(skipped == std::vector<int64_t>{1, 1});
  CHECK(values[0] == values[1]);
}

TEST_CASE("an error on rank 0 is every rank's") {
  comm::LocalHub hub(2, 20);
  std::vector<std::string> told(2), errors(2);
  std::vector<Exit> codes(2);
  on_ranks(2, [&](int rank) {
    const auto comm = hub.join(rank);
    const auto i = static_cast<size_t>(rank);
    told[i] = on_rank0(*comm, [&] { return fmt::format("rank {} says", rank); });
    try {
      on_rank0(*comm, []() -> std::string { fail(Exit::weights, "broken"); });
    } catch (const Error& e) {
      codes[i] = e.code();
      errors[i] = e.what();
    }
  });
  CHECK(told == std::vector<std::string>{"rank 0 says", "rank 0 says"});
  CHECK(errors == std::vector<std::string>{"broken", "broken"});
  CHECK(codes == std::vector<Exit>{Exit::weights, Exit::weights});
}

TEST_CASE("every rank names the sample that one of them has read") {
  comm::LocalHub hub(2, 20);
  std::vector<std::string> said(2);
  on_ranks(2, [&](int rank) {
    Rig rig({.max_nonfinite = 1}, std::make_shared<Line>(8, std::vector<int64_t>{3}), 2, false,
            hub.join(rank));
    try {
      rig.trainer->run();
    } catch (const Error& error) {
      said[static_cast<size_t>(rank)] = error.what();
    }
  });
  for (const std::string& text : said)
    CHECK_THAT(text, ContainsSubstring("the input of row 1 of the batch (line: sample 3) is nan on rank 1"));
}
