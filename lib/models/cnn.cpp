// A small convolutional network for images of 8 to 32 pixels: 3x3 convolutions with batch norm and ReLU, a
// max pooling after the second and every later one but the last, global average pooling, a linear classifier.
#include "lib/autograd/pool.h"
#include "lib/nn/layers.h"
#include "lib/nn/model.h"

namespace trainer::nn {
namespace {

struct CnnKeys {
  std::vector<int64_t> widths = {32, 64, 128};
  void fields(config::Fields& f) { f("WIDTHS", widths, "output channels of the convolutions", {.min = 1}); }
};

class ConvBlock final : public Module {
 public:
  ConvBlock(int64_t in, int64_t out, bool pool)
      : conv_(in, out, {.kernel = 3, .padding = 1, .bias = false}), bn_(out), pool_(pool) {}
  Var forward(const Var& x) override {
    const Var y = bn_.relu(conv_(x));
    return pool_ ? autograd::max_pool2d(y, {.kernel = 2, .stride = 2}) : y;
  }
  void visit(Visitor& v) override { v("conv", conv_), v("bn", bn_); }

 private:
  Conv2d conv_;
  BatchNorm bn_;
  bool pool_;
};

class Cnn final : public Model {
 public:
  struct Config : ModelConfig {
    CnnKeys cnn;
    void fields(config::Fields& f) {
      ModelConfig::fields(f);
      f.group("CNN", cnn);
    }
  };

  Cnn(const Config& c, const Shape& sample) : drop_(c.drop_rate) {
    check(Exit::usage, !c.cnn.widths.empty(),
          "MODEL.CNN.WIDTHS is empty: model cnn needs at least one convolution");
    int64_t channels = image_channels(sample, "model cnn");
    for (size_t i = 0; i < c.cnn.widths.size(); ++i) {
      const bool pool = i >= 1 && i + 1 < c.cnn.widths.size();
      blocks_.emplace_back(channels, c.cnn.widths[i], pool);
      channels = c.cnn.widths[i];
    }
    fc_.emplace(channels, c.num_classes);
  }

  Var forward(const Var& x) override {
    Var h = x;
    for (ConvBlock& block : blocks_) h = block(h);
    return (*fc_)(drop_(autograd::global_avg_pool(h)));
  }

  std::vector<Var> features(const Var& x) override {
    std::vector<Var> outputs;
    Var h = x;
    for (ConvBlock& block : blocks_) outputs.push_back(h = block(h));
    return outputs;
  }

  std::string classifier() const override { return "fc"; }

  void visit(Visitor& v) override { v("blocks", blocks_), v("drop", drop_), v("fc", fc_); }

 private:
  std::vector<ConvBlock> blocks_;
  Dropout drop_;
  std::optional<Linear> fc_;
};

const bool registered = models().add<Cnn>("cnn");

}  // namespace
}  // namespace trainer::nn
