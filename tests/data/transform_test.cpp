// From images of any size to samples of one.
#include "lib/data/transform.h"

#include "lib/config/config.h"
#include "lib/config/fields.h"
#include "lib/data/loader.h"
#include "tests/catch.h"
#include "tests/data/datasets.h"

namespace trainer::data {
namespace {

/// Sample i is (i + 2) x (2 i + 1) pixels of value 10 i; odd ones are f32.
class Pictures final : public Dataset {
 public:
  struct Config {
    void fields(config::Fields&) {}
  };
  Pictures(const Config&, const Request&) {}
  const Spec& spec() const override { return spec_; }
  int64_t size() const override { return 7; }
  void read(int64_t i, const Rng&, const Sample& into) const override {
    // No assertion of Catch's: the loader's threads read, and it is for one.
    check(into.image != nullptr, "a sample of pictures has no place for an image");
    into.label[0] = i % 3;
    if (i % 2 == 0) {
      std::ranges::fill(into.image->reset<uint8_t>(i + 2, 2 * i + 1, 3), static_cast<uint8_t>(10 * i));
    } else {
      std::ranges::fill(into.image->reset<float>(i + 2, 2 * i + 1, 3), static_cast<float>(10 * i) / 255.0F);
    }
  }
  std::string name_of(int64_t i) const override { return fmt::format("picture {}", i); }

 private:
  Spec spec_{.input = {0, 0, 3}, .num_classes = 3};
};

/// Adds a random number in [0, 1) to each pixel.
class Noise final : public Transform {
 public:
  struct Config {
    void fields(config::Fields&) {}
  };
  Noise(const Config&, Split) {}
  Shape shape(const Shape& from) const override { return from; }
  void apply(Image& image, Image&, const Draw& draw) const override {
    uint64_t element = 0;
    for (float& v : image.pixels<float>()) v += draw.uniform(element++);
  }
};

[[maybe_unused]] const bool registered[] = {datasets().add<Pictures>("test_pictures"),
                                            transforms().add<Noise>("test_noise")};

using Words = std::vector<std::string>;

std::shared_ptr<const Dataset> pictures(Words more = {}, Split split = Split::train) {
  Words words{"DATA.DATASET", "test_pictures", "DATA.IMG_SIZE", "4"};
  words.insert(words.end(), more.begin(), more.end());
  return dataset_of(words, {.split = split});
}

std::vector<float> all_of(std::shared_ptr<const Dataset> dataset, int64_t epoch, int64_t workers,
                          int64_t batch) {
  const Sampler sampler({.size = dataset->size(), .batch_size = batch, .seed = 3});
  Loader loader(std::move(dataset), sampler, {.batch_size = batch, .num_workers = workers});
  loader.start(epoch);
  std::vector<float> all;
  for (Batch b; loader.next(b);)
    all.insert(all.end(), b.input.span<float>().begin(), b.input.span<float>().end());
  return all;
}

TEST_CASE("images of different sizes are resized to IMG_SIZE") {
  const auto dataset = pictures();
  CHECK(dataset->spec().input == Shape{4, 4, 3});
  CHECK(dataset->spec().num_classes == 3);
  CHECK(dataset->size() == 7);
  CHECK(dataset->name_of(3) == "picture 3");
  CHECK(dataset->source().spec().varies());
  for (int64_t i = 0; i < dataset->size(); ++i) {
    const Row row = row_of(*dataset, i);
    CHECK(row.label == i % 3);
    for (const float v : row.input) CHECK(v == Approx(static_cast<double>(10 * i) / 255).epsilon(1e-6));
  }
}

TEST_CASE("a dataset without transforms is read as it is") {
  const auto digits = dataset_of({"DATA.DATASET", "digits", "DATA.IMG_SIZE", "8"});
  CHECK(&digits->source() == digits.get());
}

TEST_CASE("transforms go over images of one size, too, in the order of the list") {
  const auto digits = dataset_of({"DATA.DATASET", "digits", "DATA.IMG_SIZE", "8"});
  const auto same = dataset_of(
      {"DATA.DATASET", "digits", "DATA.IMG_SIZE", "8", "DATA.TRANSFORMS.TRAIN", "['resize', 'test_noise']"});
  const Rng noise = Rng().fork("test_noise");
  const Row before = row_of(*digits, 5), after = row_of(*same, 5);
  CHECK(before.label == after.label);
  for (size_t e = 0; e < before.input.size(); ++e)
    CHECK(after.input[e] == before.input[e] + noise.uniform(5, e));
}

TEST_CASE("random numbers are those of epoch, transform and sample, whoever reads it") {
  const Words noisy{"DATA.TRANSFORMS.TRAIN", "['resize', 'test_noise', 'test_noise']"};
  const auto one = all_of(pictures(noisy), 0, 0, 7);
  for (const int64_t workers : {1, 3}) {
    for (const int64_t batch : {1, 2, 7}) CHECK(all_of(pictures(noisy), 0, workers, batch) == one);
  }
  CHECK(all_of(pictures(noisy), 1, 0, 7) != one);
  // Two of one kind draw apart, and the first of them what it draws alone.
  const auto once = all_of(pictures({"DATA.TRANSFORMS.TRAIN", "['resize', 'test_noise']"}), 0, 0, 7);
  const auto none = all_of(pictures(), 0, 0, 7);
  for (size_t e = 0; e < 48; ++e) CHECK(one[e] - once[e] != once[e] - none[e]);
  CHECK(all_of(pictures(noisy, Split::val), 0, 0, 7) == none);
}

TEST_CASE("what does not become samples of one size is refused") {
  const auto message = [](const Words& words) {
    try {
      dataset_of(words);
    } catch (const Error& error) {
      CHECK(error.code() == Exit::usage);
      return std::string(error.what());
    }
    return std::string("no error");
  };
  CHECK_THAT(message({"DATA.DATASET", "test_pictures", "DATA.TRANSFORMS.TRAIN", "[]"}),
             ContainsSubstring("DATA.TRANSFORMS.TRAIN: images of different sizes"));
  CHECK_THAT(message({"DATA.DATASET", "test_pictures", "DATA.TRANSFORMS.TRAIN", "['resise']"}),
             ContainsSubstring("unknown transform 'resise'"));
  CHECK_THAT(message({"DATA.DATASET", "test_pictures", "DATA.IMG_SIZE", "0"}),
             ContainsSubstring("DATA.IMG_SIZE"));
}

TEST_CASE("an image keeps its memory, and says what it is") {
  Image image;
  const auto* large = image.reset<float>(4, 5, 3).data();
  const auto small = image.reset<uint8_t>(1, 2, 3);
  CHECK(static_cast<const void*>(small.data()) == static_cast<const void*>(large));
  CHECK(image.shape() == Shape{1, 2, 3});
  CHECK(small.size() == 6);
  std::ranges::fill(small, uint8_t{51});
  std::vector<float> out(6);
  image.copy_to(out);
  CHECK(out == std::vector<float>(6, 51.0F / 255.0F));
  CHECK_THROWS_AS(image.pixels<float>(), Error);
  CHECK_THROWS_AS(image.reset<float>(0, 2, 3), Error);
}

TEST_CASE("the registry knows which datasets need files") {
  CHECK(datasets().reads("tensors", "DATA_PATH"));
  CHECK_FALSE(datasets().reads("digits", "DATA_PATH"));
  CHECK_FALSE(datasets().reads("no such", "DATA_PATH"));
}

}  // namespace
}  // namespace trainer::data
