#include <cmath>
#include <limits>

#include "lib/metrics/metric.h"
#include "tests/catch.h"

namespace trainer::metrics {
namespace {

constexpr float nan = std::numeric_limits<float>::quiet_NaN();
constexpr float inf = std::numeric_limits<float>::infinity();

std::unique_ptr<Metric> metric(const std::string& name) { return metrics().make(name, config::Node()); }

Tensor matrix(std::vector<float> values, int64_t columns) {
  return Tensor::of<float>(values, {static_cast<int64_t>(values.size()) / columns, columns});
}
Tensor labels(std::vector<int64_t> values) {
  return Tensor::of<int64_t>(values, Shape{static_cast<int64_t>(values.size())});
}

/// Whether one sample counts as right.
bool right(const std::string& name, const std::vector<float>& logits, int64_t label) {
  const auto m = metric(name);
  m->update(matrix(logits, std::ssize(logits)), labels({label}));
  return m->value() == 1;
}

TEST_CASE("accuracy counts over batches") {
  const auto acc1 = metric("acc1");
  CHECK(std::isnan(acc1->value()));
  acc1->update(matrix({1, 2, 3, 5, 4, 3}, 3), labels({2, 1}));
  acc1->update(matrix({0, 1, 0}, 3), labels({1}));
  acc1->update(Tensor::empty({0, 3}), labels({}));
  CHECK(acc1->value() == Approx(2.0 / 3));
  CHECK(std::vector(acc1->sums().begin(), acc1->sums().end()) == std::vector<double>{2, 3});
  acc1->reset();
  CHECK(std::isnan(acc1->value()));
}

TEST_CASE("acc5 counts the five largest, or all if there are fewer") {
  const std::vector<float> falling{9, 8, 7, 6, 5, 4, 3};
  for (int64_t label = 0; label < 7; ++label) CHECK(right("acc5", falling, label) == (label < 5));
  for (int64_t label = 0; label < 3; ++label) CHECK(right("acc5", {1, 2, 3}, label));
}

TEST_CASE("of equal logits the first class is ahead") {
  CHECK(right("acc1", {1, 1, 1}, 0));
  CHECK_FALSE(right("acc1", {1, 1, 1}, 1));
  CHECK(right("acc5", {1, 1, 1, 1, 1, 1}, 4));
  CHECK_FALSE(right("acc5", {1, 1, 1, 1, 1, 1}, 5));
  CHECK(right("acc1", {-inf, inf, inf}, 1));
}

TEST_CASE("NaN logits are never right") {
  CHECK_FALSE(right("acc1", {nan, 1, 2}, 0));
  CHECK_FALSE(right("acc5", {nan, nan, nan}, 0));
  CHECK_FALSE(right("acc5", {1, nan, 2}, 1));
  CHECK_FALSE(right("acc1", {nan, 1, 2}, 2));
  CHECK_FALSE(right("acc1", {3, 1, nan}, 0));
}

/// 23 samples of 4 classes, of which the last has one sample; some scores are equal.
struct Scores {
  std::vector<float> logits;
  std::vector<int64_t> labels;
  Scores() {
    for (int64_t i = 0; i < 23; ++i) {
      labels.push_back(i % 5 != 0 ? (i * i + 1) % 4 : i / 5 % 4);
      for (int64_t k = 0; k < 4; ++k) {
        logits.push_back(static_cast<float>((i * i * 7 + k * 5 + i * k * 3) % 13) / 4 +
                         (k == labels.back() ? 0.75F : 0));
      }
    }
  }
};

TEST_CASE("auroc is scikit-learn's") {
  // x[i, k] = ((i*i*7 + k*5 + i*k*3) % 13) / 4 + (0.75 if k == y[i] else 0), y as above; scikit-learn 1.9.1:
  // roc_auc_score(y, softmax(x), multi_class="ovr", average="macro")
  const Scores s;
  const auto auroc = metric("auroc");
  CHECK(std::isnan(auroc->value()));
  const Tensor logits = matrix(s.logits, 4), truth = labels(s.labels);
  auroc->update(logits.slice(0, 10), truth.slice(0, 10));
  auroc->update(Tensor::empty({0, 4}), labels({}));
  auroc->update(logits.slice(10, 23), truth.slice(10, 23));
  CHECK(auroc->rows().size() == 23);
  CHECK(auroc->value() == Approx(0.7206876456876457).epsilon(1e-14));
  auroc->reset();
  CHECK(std::isnan(auroc->value()));
}

TEST_CASE("auroc by hand") {
  const auto value = [](const std::vector<float>& margins, const std::vector<int64_t>& truth) {
    std::vector<float> logits;
    for (const float margin : margins) logits.insert(logits.end(), {0, margin});
    const auto auroc = metric("auroc");
    auroc->update(matrix(logits, 2), labels(truth));
    return auroc->value();
  };
  // Of the 2 x 3 pairs 4 are in order and one is a tie.
  CHECK(value({1, 3, 0, 1, 2}, {1, 1, 0, 0, 0}) == 4.5 / 6);
  CHECK(value({-5, 5}, {0, 1}) == 1);
  CHECK(value({-5, 5}, {1, 0}) == 0);
  CHECK(value({2, 2}, {1, 0}) == 0.5);
  CHECK(std::isnan(value({1, 2}, {1, 1})));
  CHECK(std::isnan(value({1, nan}, {0, 1})));

  // A class without samples does not count: that of the other two, each against the rest, is 1.
  const auto auroc = metric("auroc");
  auroc->update(matrix({2, 0, 0, 0, 2, 0}, 3), labels({0, 1}));
  CHECK(auroc->value() == 1);
}

TEST_CASE("rows of a metric have one length") {
  Rows rows;
  CHECK(rows.size() == 0);
  rows.add(std::vector<float>{1, 2});
  rows.add(std::vector<float>{3, 4});
  CHECK(rows.size() == 2);
  CHECK(rows[1][0] == 3);
  CHECK_THROWS_AS(rows.add(std::vector<float>{1}), Error);
  rows.assign({1, 2, 3, 4, 5, 6}, 2);
  CHECK(rows[1].size() == 3);
  CHECK_THROWS_AS(rows.assign({1, 2, 3}, 2), Error);
  rows.assign({}, 0);
  CHECK(rows.size() == 0);
}

TEST_CASE("ranks' sums add up to the whole set's") {
  const Tensor logits = matrix({1, 0, 0, 1, 1, 0, 0, 1, 1, 0}, 2), truth = labels({0, 0, 0, 1, 0});
  for (const std::string name : {"acc1", "acc5"}) {
    const auto whole = metric(name), a = metric(name), b = metric(name);
    whole->update(logits, truth);
    a->update(logits.slice(0, 2), truth.slice(0, 2));
    b->update(logits.slice(2, 5), truth.slice(2, 5));
    for (size_t i = 0; i < a->sums().size(); ++i) a->sums()[i] += b->sums()[i];
    CHECK(a->value() == whole->value());
  }
}

TEST_CASE("mean errors of regression") {
  const Tensor output = matrix({1, 2, 3, 4}, 2), target = matrix({1, 4, 3, 8}, 2);
  const auto value = [&](const std::string& name) {
    const auto m = metric(name);
    m->update(output, target);
    return m->value();
  };
  CHECK(value("mse") == 5);
  CHECK(value("rmse") == Approx(std::sqrt(5.0)));
  CHECK(value("mae") == 1.5);
  // A model with one output gives [N, 1] for targets [N].
  const auto mae = metric("mae");
  mae->update(matrix({1, 2}, 1), Tensor::of<float>(std::vector<float>{2, 2}, {2}));
  CHECK(mae->value() == 0.5);
}

TEST_CASE("what does not fit is refused") {
  CHECK_THROWS_AS(metric("acc1")->update(matrix({1, 2}, 2), labels({2})), Error);
  CHECK_THROWS_AS(metric("acc1")->update(matrix({1, 2}, 2), labels({0, 1})), Error);
  CHECK_THROWS_AS(metric("auroc")->update(matrix({1, 2}, 1), labels({0, 0})), Error);
  CHECK_THROWS_AS(metric("auroc")->update(matrix({1, 2}, 2), matrix({1}, 1)), Error);
  CHECK_THROWS_AS(metric("auroc")->update(matrix({1, 2}, 2), labels({2})), Error);
  CHECK_THROWS_AS(metric("mse")->update(matrix({1, 2}, 2), matrix({1, 2, 3}, 3)), Error);
  CHECK_THROWS_WITH(metric("acc2"), ContainsSubstring("unknown metric 'acc2'") && ContainsSubstring("acc1"));
}

TEST_CASE("the mean loss is weighted by samples") {
  Mean loss;
  CHECK(std::isnan(loss.value()));
  loss.add(2, 3);
  loss.add(4, 1);
  loss.add(nan, 0);
  CHECK(loss.value() == 2.5);
  CHECK(loss.samples() == 4);
}

}  // namespace
}  // namespace trainer::metrics
