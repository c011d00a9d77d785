// synthetic: images made of random numbers, in any size and number of classes, that a model can learn: each
// class has a pattern of 8 x 8 black and white fields per channel, and a sample is its class's pattern under
// uniform noise.
//
// A sample depends on its index and split only, not on the run's seed: data are data.
#include <array>

#include "lib/config/fields.h"
#include "lib/data/dataset.h"

namespace trainer::data {
namespace {

constexpr int64_t fields_per_side = 8;
constexpr float contrast = 0.5F;
constexpr float noise = 1.7320508F;  // uniform in [-sqrt 3, sqrt 3): variance 1

class Synthetic final : public Dataset {
 public:
  struct Config {
    int64_t img_size = 224, train_samples = 12800, val_samples = 1280;
    void fields(config::Fields& f) {
      f("IMG_SIZE", img_size, "height and width of the model's input",
        {.min = 1, .max = 16384, .unit = "pixels"});
      f("SYNTHETIC.TRAIN_SAMPLES", train_samples, "dataset synthetic: size of the training split",
        {.min = 1});
      f("SYNTHETIC.VAL_SAMPLES", val_samples, "dataset synthetic: size of the validation split, 0 for none",
        {.min = 0});
    }
  };

  Synthetic(const Config& config, const Request& request)
      : split_(request.split),
        size_(split_ == Split::train ? config.train_samples : config.val_samples),
        patterns_(Rng().fork("synthetic").fork("patterns")),
        samples_(Rng().fork("synthetic").fork(data::name_of(split_))) {
    spec_.input = {config.img_size, config.img_size, request.channels > 0 ? request.channels : 3};
    spec_.num_classes = request.num_classes > 0 ? request.num_classes : 1000;
  }

  const Spec& spec() const override { return spec_; }
  int64_t size() const override { return size_; }

  void read(int64_t index, const Rng&, const Sample& into) const override {
    const auto sequence = static_cast<uint64_t>(index);
    const Rng labels = samples_.fork("label"), pixels = samples_.fork("noise");
    const uint64_t label = labels.below(static_cast<uint64_t>(spec_.num_classes), sequence, 0);
    into.label[0] = static_cast<int64_t>(label);

    const int64_t height = spec_.input[0], width = spec_.input[1], channels = spec_.input[2];
    std::array<uint32_t, 4> words{};
    uint64_t element = 0;
    for (int64_t c = 0; c < channels; ++c) {
      const uint64_t fields = pattern(label, static_cast<uint64_t>(c));
      for (int64_t y = 0; y < height; ++y) {
        const int64_t field_row = y * fields_per_side / height * fields_per_side;
        for (int64_t x = 0; x < width; ++x, ++element) {
          if (element % 4 == 0) words = pixels.block(sequence, element / 4);
          const bool white = fields >> (field_row + x * fields_per_side / width) & 1U;
          const float u = static_cast<float>(words[element % 4] >> 8) * 0x1.0p-23F - 1;
          into.input[(y * width + x) * channels + c] = (white ? contrast : -contrast) + noise * u;
        }
      }
    }
  }

  std::string name_of(int64_t index) const override {
    return fmt::format("synthetic ({}): sample {}", data::name_of(split_), index);
  }

 private:
  /// One bit for each of the 64 fields.
  uint64_t pattern(uint64_t label, uint64_t channel) const {
    return uint64_t{patterns_.bits(label, 2 * channel + 1)} << 32 | patterns_.bits(label, 2 * channel);
  }

  Split split_;
  Spec spec_;
  int64_t size_;
  Rng patterns_, samples_;
};

const bool registered = datasets().add<Synthetic>("synthetic");

}  // namespace
}  // namespace trainer::data
