// Evaluation on several ranks: threads of this process, a LocalHub between them.
#include "lib/train/evaluate.h"

#include <array>

#include "lib/comm/local.h"
#include "lib/train/build.h"
#include "tests/error_of.h"
#include "tests/train/rig.h"

using namespace trainer;
using namespace trainer::train;

namespace {

/// Samples of 4 classes whose inputs are a model's logits; 23 of them are those of tests/metrics.
class Logits final : public data::Dataset {
 public:
  explicit Logits(int64_t size) : size_(size) {}
  const data::Spec& spec() const override { return spec_; }
  int64_t size() const override { return size_; }
  void read(int64_t i, const Rng&, const data::Sample& into) const override {
    into.label[0] = i % 5 != 0 ? (i * i + 1) % 4 : i / 5 % 4;
    for (int64_t k = 0; k < 4; ++k) {
      into.input[static_cast<size_t>(k)] =
          static_cast<float>((i * i * 7 + k * 5 + i * k * 3) % 13) / 4 + (k == into.label[0] ? 0.75F : 0);
    }
  }
  std::string name_of(int64_t i) const override { return fmt::format("logits: sample {}", i); }

 private:
  data::Spec spec_{.input = {4}, .num_classes = 4};
  int64_t size_;
};

class Echo final : public nn::Model {
 public:
  Var forward(const Var& x) override { return x; }
  std::vector<Var> features(const Var&) override { return {}; }
  std::string classifier() const override { return ""; }
  void visit(nn::Visitor&) override {}
};

/// Keeps all rows, and tells them as they are in the end.
class Order final : public metrics::Metric {
 public:
  explicit Order(std::vector<float>& told) : told_(told) {}
  void update(const Tensor& output, const Tensor&) override {
    for (int64_t i = 0; i < output.size(0); ++i) rows_.add(output.span<float>().subspan(i * 4, 4));
  }
  double value() const override {
    told_.assign(rows_.values().begin(), rows_.values().end());
    return 0;
  }

 private:
  std::vector<float>& told_;
};

struct Result {
  Evaluation evaluation;
  std::vector<float> rows;
};

std::vector<Result> evaluate_on(int ranks, int64_t samples, int64_t batch) {
  comm::LocalHub hub(ranks, 20);
  std::vector<Result> results(static_cast<size_t>(ranks));
  const config::Config config = config::Config::defaults();
  on_ranks(ranks, [&](int rank) {
    Result& result = results[static_cast<size_t>(rank)];
    const auto comm = ranks == 1 ? alone() : hub.join(rank);
    Metrics metrics;
    for (const char* name : {"auroc", "acc1"})
      metrics.emplace_back(name, metrics::metrics().make(name, config.group("TEST")));
    metrics.emplace_back("order", std::make_unique<Order>(result.rows));
    const auto loss = nn::losses().make("cross_entropy", config.group("MODEL"));
    Echo model;
    nn::Context context;
    data::Loader loader = make_loader(std::make_shared<Logits>(samples), batch, false, rank, ranks);
    evaluate(model, context, *loss, metrics, loader, *comm);
    result.evaluation =
        *evaluate(model, context, *loss, metrics, loader, *comm);  // nothing is left of the first
  });
  return results;
}

}  // namespace

TEST_CASE("a metric of all samples together is the same for any number of ranks") {
  // 23 samples: the last global batch is shared out unevenly. 2 samples: of three ranks one has none.
  for (const int64_t samples : {23, 2}) {
    const Result one = evaluate_on(1, samples, 3).front();
    if (samples == 23) CHECK(one.evaluation.metrics[0].second == Approx(0.7206876456876457).epsilon(1e-14));
    CHECK(one.evaluation.score == one.evaluation.metrics[0].second);
    CHECK(one.rows.size() == static_cast<size_t>(samples) * 4);
    for (const int ranks : {1, 2, 3}) {
      for (const int64_t batch : {1, 2, 5, 30}) {
        CAPTURE(samples, ranks, batch);
        for (const Result& r : evaluate_on(ranks, samples, batch)) {
          CHECK(r.evaluation.samples == samples);
          CHECK(r.evaluation.metrics == one.evaluation.metrics);
          CHECK(r.rows == one.rows);  // in the order of the samples
        }
      }
    }
  }
}

TEST_CASE("a metric with wrong rows on one rank is an error on every rank") {
  class Short final : public metrics::Metric {
   public:
    void update(const Tensor& output, const Tensor&) override { rows_.add(output.span<float>().first(4)); }
    double value() const override { return 0; }
  };
  constexpr int ranks = 2;
  comm::LocalHub hub(ranks, 20);
  std::array<std::string, ranks> errors;
  on_ranks(ranks, [&](int rank) {
    const auto comm = hub.join(rank);
    Metrics metrics;
    metrics.emplace_back("short", std::make_unique<Short>());
    const auto loss = nn::losses().make("cross_entropy", config::Config::defaults().group("MODEL"));
    Echo model;
    nn::Context context;
    data::Loader loader = make_loader(std::make_shared<Logits>(3), 2, false, rank, ranks);  // 1 and 2 samples
    try {
      evaluate(model, context, *loss, metrics, loader, *comm);
    } catch (const Error& error) {
      errors[static_cast<size_t>(rank)] = error.what();
    }
  });
  for (const std::string& error : errors)
    CHECK_THAT(error, ContainsSubstring("rank 1: metric short has added 1 rows for 2 samples"));
}

TEST_CASE("metrics are those of TEST.METRICS, and fit the data") {
  config::Config config = config::Config::defaults();
  const auto names = [&](const data::Spec& spec) {
    std::vector<std::string> all;
    for (const auto& [name, metric] : build_metrics(config, Settings(config), spec)) all.push_back(name);
    return all;
  };
  const data::Spec classes{.input = {4}, .num_classes = 4},
      values{.input = {4}, .target_dtype = DType::f32, .target = {2}};
  CHECK(names(classes) == std::vector<std::string>{"acc1", "acc5"});
  CHECK(names(values) == std::vector<std::string>{"mse", "mae"});
  config.merge_opts(std::vector<std::string>{"TEST.METRICS", "['auroc', 'acc1']"});
  CHECK(names(classes) == std::vector<std::string>{"auroc", "acc1"});
  CHECK_THAT(error_of([&] { names(values); }), ContainsSubstring("TEST.METRICS: auroc is not for such data"));
}
