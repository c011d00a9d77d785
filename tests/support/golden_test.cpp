// The formula here is the formula in Python: without that, no golden fixture means anything.
#include "tests/support/golden.h"

#include "tests/catch.h"
#include "tests/support/fixture.h"

namespace {

using golden::Formula;
using golden::Shape;

std::map<std::string, Shape> shapes_of(const nlohmann::json& expected) {
  std::map<std::string, Shape> shapes;
  for (const auto& [name, dims] : expected["shapes"].items()) {
    shapes.emplace(name, Shape(std::span<const int64_t>(dims.get<std::vector<int64_t>>())));
  }
  return shapes;
}

TEST_CASE("golden formula: weights, batches and gradients are Python's, bit for bit") {
  const auto expected = golden::json("formula");
  const Formula formula(expected["seed"]);
  const auto weights = formula.weights(shapes_of(expected));
  REQUIRE(weights.size() == expected["weights"].size());
  for (const auto& [name, values] : weights) {
    INFO(name);
    CHECK(values == expected["weights"][name].get<std::vector<float>>());
  }
  const uint64_t step = expected["step"];
  CHECK(formula.images(step, 12) == expected["images"].get<std::vector<float>>());
  CHECK(formula.labels(step, 6, expected["classes"]) == expected["labels"].get<std::vector<int64_t>>());
  CHECK(formula.gradient("fc.bias", step, 3) == expected["gradient"].get<std::vector<float>>());
}

TEST_CASE("golden formula: the generator is Python's beyond 32-bit counters") {
  const auto expected = golden::json("formula");
  const auto& far = expected["far"];
  const golden::Rng rng = golden::Rng(expected["seed"].get<uint64_t>()).fork("far");
  for (size_t i = 0; i < far["words"].size(); ++i) {
    CHECK(rng.bits(far["index"], far["element"].get<uint64_t>() + i) == far["words"][i].get<uint32_t>());
  }
}

TEST_CASE("golden sketch: Python's up to the order of sums, and an estimate of the distance") {
  const auto expected = golden::json("formula");
  const Formula formula(expected["seed"]);
  for (const auto& [name, values] : formula.weights(shapes_of(expected))) {
    INFO(name);
    CHECK(golden::distance(formula.sketch(name, values),
                           expected["sketches"][name].get<std::vector<double>>()) < 1e-13);
  }

  const auto x = formula.images(0, 5001);
  auto y = x;
  double squares = 0;
  for (size_t i = 0; i < y.size(); i += 7) {
    y[i] += 0.01F;
    squares += 1e-4;
  }
  const double estimate = golden::distance(formula.sketch("x", x), formula.sketch("x", y));
  CHECK(estimate == Approx(std::sqrt(squares)).epsilon(0.5));
}

}  // namespace
