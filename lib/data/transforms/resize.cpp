// resize: to IMG_SIZE x IMG_SIZE, whatever the ratio of the sides; bilinear, without antialiasing. The result
// is f32.
#include "lib/data/resize.h"
#include "lib/config/fields.h"
#include "lib/data/transform.h"

namespace trainer::data {
namespace {

class Resize final : public Transform {
 public:
  struct Config {
    int64_t img_size = 224;
    void fields(config::Fields& f) {
      f("DATA.IMG_SIZE", img_size, "height and width of the model's input",
        {.min = 1, .max = 16384, .unit = "pixels"});
    }
  };
  Resize(const Config& config, Split) : size_(config.img_size) {}

  Shape shape(const Shape& from) const override { return {size_, size_, from[2]}; }

  void apply(Image& image, Image& spare, const Draw&) const override {
    const BilinearResize resize(image.height(), image.width(), size_, size_);
    const auto out = spare.reset<float>(size_, size_, image.channels());
    if (image.dtype() == DType::u8) {
      resize(image.pixels<uint8_t>(), out, image.channels());
    } else {
      resize(image.pixels<float>(), out, image.channels());
    }
    std::swap(image, spare);
  }

 private:
  int64_t size_;
};

const bool registered = transforms().add<Resize>("resize");

}  // namespace
}  // namespace trainer::data
