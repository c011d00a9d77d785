// digits: 1,797 handwritten digits of 8 x 8 pixels, carried inside the program.
//
// "Optical Recognition of Handwritten Digits", E. Alpaydin and C. Kaynak, 1998, UCI Machine Learning
// Repository, https://doi.org/10.24432/C50P49, licence CC BY 4.0; its test set, as scikit-learn ships it.
//
// The split needs no random numbers: sorted by class, in the data's order within a class, every fifth goes to
// validation. The data come writer by writer, so both parts (1,437 and 360 samples) hold classes and writers
// in proportion.
#include "lib/config/fields.h"
#include "lib/data/dataset.h"
#include "lib/data/resize.h"

namespace trainer::data {
namespace {

constexpr int64_t count = 1797, side = 8, classes = 10;

/// The label and then the pixels, row by row, each with the terminating zero of its literal.
constexpr char digits[count][1 + side * side + 1] = {
#include "lib/data/digits_data.inc"
};

class Digits final : public Dataset {
 public:
  struct Config {
    int64_t img_size = 224;
    void fields(config::Fields& f) {
      f("IMG_SIZE", img_size, "height and width of the model's input",
        {.min = 1, .max = 16384, .unit = "pixels"});
    }
  };

  Digits(const Config& config, const Request& request)
      : split_(request.split), resize_(side, config.img_size) {
    spec_ = {.input = {config.img_size, config.img_size, 1}, .num_classes = classes};
    int64_t position = 0;
    for (int64_t label = 0; label < classes; ++label) {
      for (int64_t i = 0; i < count; ++i) {
        if (digits[i][0] - '0' != label) continue;
        if ((position++ % 5 == 0) != (split_ == Split::val)) continue;
        rows_.push_back(i);
        labels_.push_back(label);
      }
    }
    check_labels(*this, labels_, request);
  }

  const Spec& spec() const override { return spec_; }
  int64_t size() const override { return std::ssize(rows_); }

  /// Values 0, 1/16, ... 1.
  void read(int64_t index, const Rng&, const Sample& into) const override {
    float pixels[side * side];
    const char* letters = digits[rows_[index]] + 1;
    for (int64_t i = 0; i < side * side; ++i) pixels[i] = static_cast<float>(letters[i] - 'A') / 16;
    resize_(pixels, into.input);
    into.label[0] = labels_[index];
  }

  std::string name_of(int64_t index) const override {
    return fmt::format("digits ({}): sample {}", data::name_of(split_), index);
  }

 private:
  Split split_;
  Spec spec_;
  BilinearResize resize_;
  std::vector<int64_t> rows_, labels_;  // row of the table and label of each sample
};

const bool registered = datasets().add<Digits>("digits");

}  // namespace
}  // namespace trainer::data
