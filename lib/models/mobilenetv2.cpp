// MobileNetV2 (Sandler et al., 2018) as in timm's EfficientNet family: names, initialisation, rounding of
// widths and depths (mobilenetv2_110d: width 1.1, depth 1.2, stem and head as they are).
#include <array>
#include <cmath>

#include "lib/autograd/elementwise.h"
#include "lib/autograd/pool.h"
#include "lib/nn/layers.h"
#include "lib/nn/model.h"

namespace trainer::nn {
namespace {

constexpr auto act = ops::Activation::relu6;

struct StageShape {
  int64_t channels, blocks, stride;
  bool in_features;  ///< timm's features_only has its output: the last one of its size
};
constexpr std::array<StageShape, 7> stages{{{16, 1, 1, true},
                                            {24, 2, 2, true},
                                            {32, 3, 2, true},
                                            {64, 4, 2, false},
                                            {96, 3, 1, true},
                                            {160, 3, 2, false},
                                            {320, 1, 1, true}}};

/// The nearest multiple of 8 that is not more than a tenth below `v` (timm's make_divisible).
int64_t divisible(double v) {
  const int64_t near = std::max<int64_t>(8, static_cast<int64_t>(v + 4) / 8 * 8);
  return static_cast<double>(near) < 0.9 * v ? near + 8 : near;
}

/// Without bias; every one is followed by a norm.
Conv2d conv(int64_t in, int64_t out, int64_t kernel, int64_t stride = 1, int64_t groups = 1) {
  const auto fan_out = static_cast<double>(out * kernel * kernel / groups);
  return Conv2d(in, out,
                {.kernel = kernel,
                 .stride = stride,
                 .padding = kernel / 2,
                 .groups = groups,
                 .bias = false,
                 .init = Init::kaiming_normal(fan_out)});
}

/// Expansion by a 1x1 convolution (none in the first block), a depthwise 3x3 one, and a linear projection.
/// timm's names differ with and without expansion: InvertedResidual, DepthwiseSeparableConv.
class Block final : public Module {
 public:
  Block(int64_t in, int64_t out, int64_t stride, int64_t expansion, double drop_path)
      : depthwise_(conv(in * expansion, in * expansion, 3, stride, in * expansion)),
        depthwise_bn_(in * expansion),
        project_(conv(in * expansion, out, 1)),
        project_bn_(out),
        drop_path_(drop_path),
        shortcut_(in == out && stride == 1) {
    if (expansion == 1) return;
    expand_ = conv(in, in * expansion, 1);
    expand_bn_.emplace(in * expansion);
  }

  Var forward(const Var& x) override {
    Var h = expand_ ? expand_bn_->activate((*expand_)(x), act) : x;
    h = project_(depthwise_bn_.activate(depthwise_(h), act));
    if (!shortcut_) return project_bn_(h);
    if (drop_path_.active()) return autograd::add(drop_path_(project_bn_(h)), x);
    return project_bn_.add(h, x);
  }

  void visit(Visitor& v) override {
    v("conv_pw", expand_), v("bn1", expand_bn_);
    v("conv_dw", depthwise_), v(expand_ ? "bn2" : "bn1", depthwise_bn_);
    v(expand_ ? "conv_pwl" : "conv_pw", project_), v(expand_ ? "bn3" : "bn2", project_bn_);
    v("drop_path", drop_path_);
  }

 private:
  std::optional<Conv2d> expand_;
  std::optional<BatchNorm> expand_bn_;
  Conv2d depthwise_;
  BatchNorm depthwise_bn_;
  Conv2d project_;
  BatchNorm project_bn_;
  DropPath drop_path_;
  bool shortcut_;
};

class MobileNetV2 final : public Model {
 public:
  struct Config : ResidualModelConfig {
    double width = 1, depth = 1;
    /// Width and depth leave the stem, the head, and the depths of the outer stages alone.
    bool fixed_ends = false;
  };

  MobileNetV2(const Config& c, const Shape& sample)
      : stem_(conv(image_channels(sample, "a MobileNet"), c.fixed_ends ? 32 : divisible(32 * c.width), 3, 2)),
        stem_bn_(c.fixed_ends ? 32 : divisible(32 * c.width)),
        drop_(c.drop_rate) {
    const auto depth = [&](size_t stage) {
      const bool fixed = c.fixed_ends && (stage == 0 || stage + 1 == stages.size());
      const auto blocks = static_cast<double>(stages[stage].blocks);
      return static_cast<int64_t>(fixed ? blocks : std::ceil(blocks * c.depth));
    };
    int64_t total = 0;
    for (size_t s = 0; s < stages.size(); ++s) total += depth(s);

    int64_t in = c.fixed_ends ? 32 : divisible(32 * c.width), block = 0;
    blocks_.resize(stages.size());
    for (size_t s = 0; s < stages.size(); ++s) {
      const int64_t out = divisible(static_cast<double>(stages[s].channels) * c.width);
      for (int64_t i = 0; i < depth(s); ++i, ++block) {
        const double drop_path = c.drop_path_rate * static_cast<double>(block) / static_cast<double>(total);
        blocks_[s].emplace_back(in, out, i == 0 ? stages[s].stride : 1, s == 0 ? 1 : 6, drop_path);
        in = out;
      }
    }
    const int64_t features = c.fixed_ends ? 1280 : std::max<int64_t>(1280, divisible(1280 * c.width));
    head_ = conv(in, features, 1);
    head_bn_.emplace(features);
    const double bound = 1 / std::sqrt(static_cast<double>(c.num_classes));
    classifier_.emplace(features, c.num_classes,
                        LinearOptions{.init = Init::uniform(bound), .bias_init = Init::zeros()});
  }

  Var forward(const Var& x) override {
    Var h = stem_bn_.activate(stem_(x), act);
    for (auto& stage : blocks_) h = forward_stage(stage, h);
    h = head_bn_->activate((*head_)(h), act);
    return (*classifier_)(drop_(autograd::global_avg_pool(h)));
  }

  std::vector<Var> features(const Var& x) override {
    std::vector<Var> outputs;
    Var h = stem_bn_.activate(stem_(x), act);
    for (size_t s = 0; s < stages.size(); ++s) {
      h = forward_stage(blocks_[s], h);
      if (stages[s].in_features) outputs.push_back(h);
    }
    return outputs;
  }

  std::string classifier() const override { return "classifier"; }

  void visit(Visitor& v) override {
    v("conv_stem", stem_), v("bn1", stem_bn_), v("blocks", blocks_);
    v("conv_head", head_), v("bn2", head_bn_), v("drop", drop_), v("classifier", classifier_);
  }

 private:
  static Var forward_stage(std::vector<Block>& stage, Var h) {
    for (Block& block : stage) h = block(h);
    return h;
  }

  Conv2d stem_;
  BatchNorm stem_bn_;
  std::vector<std::vector<Block>> blocks_;
  std::optional<Conv2d> head_;
  std::optional<BatchNorm> head_bn_;
  Dropout drop_;
  std::optional<Linear> classifier_;
};

MobileNetV2::Config family(double width, double depth = 1) {
  MobileNetV2::Config c;
  c.width = width;
  c.depth = depth;
  c.fixed_ends = depth != 1;
  return c;
}

const bool registered = models().add<MobileNetV2>("mobilenetv2_035", family(0.35)) &&
                        models().add<MobileNetV2>("mobilenetv2_050", family(0.5)) &&
                        models().add<MobileNetV2>("mobilenetv2_075", family(0.75)) &&
                        models().add<MobileNetV2>("mobilenetv2_100", family(1)) &&
                        models().add<MobileNetV2>("mobilenetv2_110d", family(1.1, 1.2)) &&
                        models().add<MobileNetV2>("mobilenetv2_120d", family(1.2, 1.4)) &&
                        models().add<MobileNetV2>("mobilenetv2_140", family(1.4));

}  // namespace
}  // namespace trainer::nn
