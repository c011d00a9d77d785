#include <fstream>

#include "lib/io/safetensors.h"
#include "tests/catch.h"
#include "tests/data/datasets.h"
#include "tests/temp_folder.h"

namespace trainer::data {
namespace {

using Named = std::vector<std::pair<std::string, Tensor>>;

template <class T>
Tensor counted(Shape shape) {
  Tensor t = Tensor::empty(shape, dtype_of<T>);
  for (int64_t i = 0; i < t.numel(); ++i) t.data<T>()[i] = static_cast<T>(i % 200);
  return t;
}

Tensor labels(std::vector<int64_t> values) {
  return Tensor::of<int64_t>(values, Shape{static_cast<int64_t>(values.size())});
}

/// A folder of data files.
class Files {
 public:
  void write(const std::string& name, const Named& tensors) const {
    io::write_safetensors(folder_ / name, tensors, {}, Exit::data);
  }
  std::string path(const std::string& name = "") const { return (folder_ / name).string(); }
  std::shared_ptr<const Dataset> open(const Request& request = {}, const std::string& name = "") const {
    return dataset_of({"DATA.DATASET", "tensors", "DATA.DATA_PATH", path(name)}, request);
  }

 private:
  TempFolder folder_;
};

/// Expects Error(Exit::data) whose message begins with the file's name and holds `cause`.
void check_refused(const Named& tensors, const std::string& cause, const Request& request = {}) {
  const Files files;
  files.write("train.safetensors", tensors);
  try {
    files.open(request);
    FAIL("was accepted; expected: " << cause);
  } catch (const Error& e) {
    CHECK(e.code() == Exit::data);
    CHECK_THAT(e.what(), ContainsSubstring(cause));
    CHECK(std::string(e.what()).starts_with(files.path("train.safetensors") + ":"));
  }
}

TEST_CASE("u8 images are scaled and come channels last") {
  const Files files;
  files.write("train.safetensors", {{"images", counted<uint8_t>({2, 3, 2, 4})}, {"labels", labels({1, 0})}});
  const auto dataset = files.open();
  CHECK(dataset->size() == 2);
  CHECK(dataset->spec().input == Shape{2, 4, 3});
  CHECK(dataset->spec().num_classes == 2);
  const Row row = row_of(*dataset, 1);
  CHECK(row.label == 0);
  for (size_t c = 0; c < 3; ++c) {
    for (size_t p = 0; p < 8; ++p) CHECK(row.input[p * 3 + c] == static_cast<float>(24 + c * 8 + p) / 255.0F);
  }
}

TEST_CASE("f32 images are used as they are") {
  const Files files;
  files.write("train.safetensors", {{"images", counted<float>({3, 2, 1, 2})}, {"labels", labels({5, 0, 2})}});
  const auto dataset = files.open();
  CHECK(dataset->spec().num_classes == 6);
  CHECK(row_of(*dataset, 1).input == std::vector<float>{4, 6, 5, 7});
  CHECK(dataset->name_of(1) == files.path("train.safetensors") + ": sample 1");
}

TEST_CASE("tables, with classes or with values") {
  const Files files;
  files.write("train.safetensors",
              {{"features", counted<float>({2, 3})}, {"targets", counted<float>({2, 2})}});
  const auto values = files.open();
  CHECK(values->spec().input == Shape{3});
  CHECK_FALSE(values->spec().is_classification());
  CHECK(values->spec().target == Shape{2});
  CHECK(row_of(*values, 1).input == std::vector<float>{3, 4, 5});
  CHECK(row_of(*values, 1).target == std::vector<float>{2, 3});

  files.write("train.safetensors", {{"features", counted<float>({2, 3})}, {"labels", labels({0, 1})}});
  CHECK(row_of(*files.open(), 1).label == 1);
  files.write("train.safetensors", {{"features", counted<float>({2, 3})}, {"labels", counted<float>({2})}});
  CHECK(files.open()->spec().target == Shape{});
  CHECK(row_of(*files.open(), 1).target == std::vector<float>{1});
}

TEST_CASE("validation data are optional") {
  const Files files;
  files.write("train.safetensors", {{"features", counted<float>({2, 3})}, {"labels", labels({0, 1})}});
  CHECK(files.open({.split = Split::val})->size() == 0);
  CHECK(files.open({.split = Split::val}, "train.safetensors")->size() == 0);
  CHECK(files.open({}, "train.safetensors")->size() == 2);
  files.write("val.safetensors", {{"features", counted<float>({1, 3})}, {"labels", labels({0})}});
  CHECK(files.open({.split = Split::val})->size() == 1);
}

TEST_CASE("files that do not hold a dataset are refused") {
  const Tensor images = counted<float>({2, 1, 2, 2}), two = labels({0, 1});
  check_refused({{"pictures", images}, {"labels", two}},
                "has neither 'images' nor 'features'; its tensors: ");
  check_refused({}, "its tensors: none");
  check_refused({{"images", images}}, "has neither 'labels' nor 'targets'");
  check_refused({{"images", images}, {"features", images}, {"labels", two}},
                "has both 'images' and 'features'");
  check_refused({{"images", images}, {"labels", two}, {"targets", two}}, "has both 'labels' and 'targets'");
  check_refused({{"images", counted<double>({2, 1, 2, 2})}, {"labels", two}},
                "'images' is f64 [2, 1, 2, 2], expected f32 or u8");
  check_refused({{"images", counted<float>({2, 2, 2})}, {"labels", two}},
                "'images' is f32 [2, 2, 2], expected [N, C, H, W]");
  check_refused({{"features", counted<uint8_t>({2, 3})}, {"labels", two}},
                "'features' is u8 [2, 3], expected f32");
  check_refused({{"features", counted<float>({2})}, {"labels", two}}, "expected [N, D]");
  check_refused({{"images", images}, {"labels", counted<int32_t>({2})}},
                "'labels' is i32 [2], expected i64 (class indices)");
  check_refused({{"images", images}, {"labels", counted<int64_t>({2, 1})}}, "expected [N] for class indices");
  check_refused({{"images", images}, {"labels", counted<float>({})}},
                "'labels' is f32 [], expected [N] or [N, ...]");
  check_refused({{"images", images}, {"labels", labels({0, 1, 1})}},
                "'images' holds 2 samples but 'labels' 3");
  check_refused({{"images", counted<float>({0, 1, 2, 2})}, {"labels", labels({})}},
                "'images' holds no samples");
  check_refused({{"images", counted<float>({2, 1, 0, 2})}, {"labels", two}}, "expected no extent of zero");
  check_refused({{"images", images}, {"labels", counted<float>({2, 0})}}, "expected no extent of zero");
}

TEST_CASE("labels outside of the classes are refused with file, sample and range") {
  const Tensor features = counted<float>({3, 2});
  check_refused({{"features", features}, {"labels", labels({0, 9, 10})}},
                "sample 2: label 10 is outside [0, 10), the range of MODEL.NUM_CLASSES", {.num_classes = 10});
  check_refused({{"features", features}, {"labels", labels({0, -1, 0})}}, "sample 1: label -1 is negative");
}

TEST_CASE("a missing path or file is named") {
  const Files files;
  CHECK_THROWS_WITH(files.open(), ContainsSubstring(files.path("train.safetensors")));
  CHECK_THROWS_WITH(dataset_of({"DATA.DATASET", "tensors"}), ContainsSubstring("DATA.DATA_PATH is empty"));
  std::ofstream(files.path("train.safetensors")) << "not a tensor file";
  CHECK_THROWS_WITH(files.open(), ContainsSubstring(files.path("train.safetensors")));
}

}  // namespace
}  // namespace trainer::data
