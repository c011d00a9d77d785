#include <array>
#include <set>

#include "tests/catch.h"
#include "tests/data/datasets.h"

namespace trainer::data {
namespace {

std::shared_ptr<const Dataset> digits(Split split, int64_t img_size = 8, int64_t num_classes = 10) {
  return dataset_of({"DATA.DATASET", "digits", "DATA.IMG_SIZE", std::to_string(img_size)},
                    {.split = split, .num_classes = num_classes});
}

/// FNV-1a over each sample's label and its 64 pixels as bytes 0..16.
uint64_t checksum(const Dataset& dataset) {
  uint64_t h = 0xCBF29CE484222325ULL;
  const auto add = [&](int64_t byte) { h = (h ^ static_cast<uint64_t>(byte)) * 0x100000001B3ULL; };
  for (int64_t i = 0; i < dataset.size(); ++i) {
    const Row row = row_of(dataset, i);
    add(row.label);
    for (const float v : row.input) add(static_cast<int64_t>(v * 16));
  }
  return h;
}

TEST_CASE("digits hold what scikit-learn ships, split 1437 to 360") {
  const auto train = digits(Split::train), val = digits(Split::val);
  CHECK(train->size() == 1437);
  CHECK(val->size() == 360);
  CHECK(train->spec().input == Shape{8, 8, 1});
  CHECK(train->spec().is_classification());
  CHECK(train->spec().num_classes == 10);
  // Computed with numpy from sklearn.datasets.load_digits: order = argsort(target, stable), val = order[::5].
  CHECK(checksum(*train) == 0x0c6b1d6f0c8f622bULL);
  CHECK(checksum(*val) == 0xff8e9dfe38678dbbULL);
}

TEST_CASE("digits are split within each class") {
  const std::array<int64_t, 10> all{178, 182, 177, 183, 181, 182, 181, 179, 174, 180};
  std::array<int64_t, 10> train{}, val{};
  for (const Split split : {Split::train, Split::val}) {
    const auto dataset = digits(split);
    for (int64_t i = 0; i < dataset->size(); ++i)
      ++(split == Split::train ? train : val)[row_of(*dataset, i).label];
  }
  for (size_t c = 0; c < all.size(); ++c) {
    CHECK(train[c] + val[c] == all[c]);
    CHECK(std::abs(static_cast<double>(val[c]) - static_cast<double>(all[c]) / 5) <= 1);
  }
}

TEST_CASE("digits in another size are resized") {
  const auto large = digits(Split::val, 32), small = digits(Split::val);
  CHECK(large->spec().input == Shape{32, 32, 1});
  const Row a = row_of(*large, 5), b = row_of(*small, 5);
  CHECK(a.label == b.label);
  CHECK(a.input.front() == b.input.front());  // corners lie outside of the first pixel's centre
  CHECK(a.input.back() == b.input.back());
}

TEST_CASE("digits need ten classes") {
  CHECK_THROWS_WITH(digits(Split::train, 8, 5), ContainsSubstring("digits (train): sample") &&
                                                    ContainsSubstring("label 5 is outside [0, 5)"));
}

TEST_CASE("an unknown dataset is refused") {
  CHECK_THROWS_WITH(dataset_of({"DATA.DATASET", "digit"}),
                    ContainsSubstring("unknown dataset 'digit'") && ContainsSubstring("digits"));
}

}  // namespace
}  // namespace trainer::data
