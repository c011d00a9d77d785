// ResNet (He et al., 2016) as in timm: names, initialisation, stride on the 3x3 convolution of a bottleneck
// ("v1.5"). MODEL.STEM small replaces the 7x7 stride-2 convolution and the max pooling by a 3x3 convolution,
// for 32-pixel images.
#include <array>

#include "lib/autograd/elementwise.h"
#include "lib/autograd/pool.h"
#include "lib/nn/layers.h"
#include "lib/nn/model.h"

namespace trainer::nn {
namespace {

Conv2d conv(int64_t in, int64_t out, int64_t kernel, int64_t stride = 1) {
  return Conv2d(in, out,
                {.kernel = kernel,
                 .stride = stride,
                 .padding = kernel / 2,
                 .bias = false,
                 .init = Init::kaiming_normal(static_cast<double>(out * kernel * kernel))});
}

/// The projection of a shortcut whose shape changes: a strided 1x1 convolution and its norm.
class Downsample final : public Module {
 public:
  Downsample(int64_t in, int64_t out, int64_t stride) : conv_(conv(in, out, 1, stride)), bn_(out) {}
  Var forward(const Var& x) override { return bn_(conv_(x)); }
  void visit(Visitor& v) override { v("0", conv_), v("1", bn_); }

 private:
  Conv2d conv_;
  BatchNorm bn_;
};

/// Two 3x3 convolutions, or 1x1 - 3x3 - 1x1 with the outer width four times the inner one.
class Block final : public Module {
 public:
  Block(int64_t in, int64_t width, int64_t out, int64_t stride, bool bottleneck, double drop_path)
      : conv1_(bottleneck ? conv(in, width, 1) : conv(in, width, 3, stride)),
        bn1_(width),
        conv2_(bottleneck ? conv(width, width, 3, stride) : conv(width, out, 3)),
        bn2_(bottleneck ? width : out, {.gamma = bottleneck ? 1.0 : 0.0}),
        drop_path_(drop_path) {
    if (bottleneck) {
      conv3_ = conv(width, out, 1);
      bn3_.emplace(out, BatchNormOptions{.gamma = 0});
    }
    if (in != out || stride != 1) downsample_.emplace(in, out, stride);
  }

  Var forward(const Var& x) override {
    Var h = conv2_(bn1_.relu(conv1_(x)));
    BatchNorm& last = bn3_ ? *bn3_ : bn2_;
    if (conv3_) h = (*conv3_)(bn2_.relu(h));
    const Var shortcut = downsample_ ? (*downsample_)(x) : x;
    if (drop_path_.active()) return autograd::relu(autograd::add(drop_path_(last(h)), shortcut));
    return last.add_relu(h, shortcut);
  }

  void visit(Visitor& v) override {
    v("conv1", conv1_), v("bn1", bn1_), v("conv2", conv2_), v("bn2", bn2_), v("conv3", conv3_),
        v("bn3", bn3_);
    v("downsample", downsample_), v("drop_path", drop_path_);
  }

 private:
  Conv2d conv1_;
  BatchNorm bn1_;
  Conv2d conv2_;
  BatchNorm bn2_;
  std::optional<Conv2d> conv3_;
  std::optional<BatchNorm> bn3_;
  std::optional<Downsample> downsample_;
  DropPath drop_path_;
};

using Stage = std::vector<Block>;

class ResNet final : public Model {
 public:
  struct Config : ResidualModelConfig {
    std::array<int, 4> depths{};
    bool bottleneck = false;
    std::string stem = "default";
    void fields(config::Fields& f) {
      ResidualModelConfig::fields(f);
      f.choice("STEM", stem, {"default", "small"}, "small: a 3x3 stem without pooling, for 32-pixel images");
    }
  };

  ResNet(const Config& c, const Shape& sample) : small_(c.stem == "small"), bn1_(64), drop_(c.drop_rate) {
    const int64_t channels = image_channels(sample, "a ResNet");
    conv1_ = small_ ? conv(channels, 64, 3) : conv(channels, 64, 7, 2);
    const int blocks = c.depths[0] + c.depths[1] + c.depths[2] + c.depths[3];
    const int64_t expansion = c.bottleneck ? 4 : 1;
    int64_t in = 64;
    for (int s = 0, block = 0; s < 4; ++s) {
      const int64_t width = int64_t{64} << s;
      for (int i = 0; i < c.depths[s]; ++i, ++block) {
        const double drop_path = c.drop_path_rate * block / (blocks - 1);
        stages_[s].emplace_back(in, width, width * expansion, i == 0 && s > 0 ? 2 : 1, c.bottleneck,
                                drop_path);
        in = width * expansion;
      }
    }
    fc_.emplace(in, c.num_classes);
  }

  Var forward(const Var& x) override {
    Var h = stem(x);
    for (Stage& stage : stages_) h = forward_stage(stage, h);
    return (*fc_)(drop_(autograd::global_avg_pool(h)));
  }

  std::vector<Var> features(const Var& x) override {
    Var h = bn1_.relu((*conv1_)(x));
    std::vector<Var> outputs{h};
    if (!small_) h = autograd::max_pool2d(h, stem_pool);
    for (Stage& stage : stages_) outputs.push_back(h = forward_stage(stage, h));
    return outputs;
  }

  std::string classifier() const override { return "fc"; }

  void visit(Visitor& v) override {
    v("conv1", conv1_), v("bn1", bn1_);
    for (int s = 0; s < 4; ++s) v(fmt::format("layer{}", s + 1), stages_[s]);
    v("drop", drop_), v("fc", fc_);
  }

 private:
  static constexpr ops::Pool2dArgs stem_pool{.kernel = 3, .stride = 2, .padding = 1};
  static Var forward_stage(Stage& stage, Var h) {
    for (Block& block : stage) h = block(h);
    return h;
  }
  Var stem(const Var& x) {
    const Var h = bn1_.relu((*conv1_)(x));
    return small_ ? h : autograd::max_pool2d(h, stem_pool);
  }

  bool small_;
  std::optional<Conv2d> conv1_;
  BatchNorm bn1_;
  std::array<Stage, 4> stages_;
  Dropout drop_;
  std::optional<Linear> fc_;
};

ResNet::Config family(std::array<int, 4> depths, bool bottleneck) {
  ResNet::Config c;
  c.depths = depths;
  c.bottleneck = bottleneck;
  return c;
}

const bool registered = models().add<ResNet>("resnet18", family({2, 2, 2, 2}, false)) &&
                        models().add<ResNet>("resnet34", family({3, 4, 6, 3}, false)) &&
                        models().add<ResNet>("resnet50", family({3, 4, 6, 3}, true)) &&
                        models().add<ResNet>("resnet101", family({3, 4, 23, 3}, true)) &&
                        models().add<ResNet>("resnet152", family({3, 8, 36, 3}, true));

}  // namespace
}  // namespace trainer::nn
