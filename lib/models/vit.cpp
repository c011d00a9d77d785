// Vision transformer (Dosovitskiy et al., 2021) as in timm: names, initialisation, LayerNorm before each
// branch (eps 1e-6), class token first, exact GELU. The position embedding has the size that the model is
// built with: one place for each patch of a sample, and one for the class token.
#include "lib/autograd/attention.h"
#include "lib/autograd/elementwise.h"
#include "lib/autograd/tokens.h"
#include "lib/nn/layers.h"
#include "lib/nn/model.h"

namespace trainer::nn {
namespace {

Linear linear(int64_t in, int64_t out) {
  return {in, out, {.init = Init::truncated_normal(0.02), .bias_init = Init::zeros()}};
}

/// Images [N, H, W, C] -> [N, H / patch, W / patch, width].
class PatchEmbed final : public Module {
 public:
  PatchEmbed(int64_t channels, int64_t width, int64_t patch)
      : proj_(channels, width, {.kernel = patch, .stride = patch}) {}
  Var forward(const Var& x) override { return proj_(x); }
  void visit(Visitor& v) override { v("proj", proj_); }

 private:
  Conv2d proj_;
};

class Attention final : public Module {
 public:
  Attention(int64_t width, int64_t heads)
      : heads_(heads), qkv_(linear(width, 3 * width)), proj_(linear(width, width)) {}
  Var forward(const Var& x) override { return proj_(attend(x, {})); }
  /// Before the projection, which is of each token alone.
  Var attend(const Var& x, const ops::AttentionArgs& args) {
    return autograd::attention(qkv_(x), heads_, {}, {}, args);
  }
  Var project(const Var& x) { return proj_(x); }
  void visit(Visitor& v) override { v("qkv", qkv_), v("proj", proj_); }

 private:
  int64_t heads_;
  Linear qkv_, proj_;
};

class Mlp final : public Module {
 public:
  explicit Mlp(int64_t width) : fc1_(linear(width, 4 * width)), fc2_(linear(4 * width, width)) {}
  Var forward(const Var& x) override { return fc2_(fc1_.gelu(x)); }
  void visit(Visitor& v) override { v("fc1", fc1_), v("fc2", fc2_); }

 private:
  Linear fc1_, fc2_;
};

/// Tokens between two blocks: x + branch. The next norm adds them in the same kernel. No branch: x.
struct Stream {
  Var x, branch;
};

class Block final : public Module {
 public:
  Block(int64_t width, int64_t heads, double drop_path)
      : norm1_(width, norm),
        attn_(width, heads),
        drop_path1_(drop_path),
        norm2_(width, norm),
        mlp_(width),
        drop_path2_(drop_path) {}

  Var forward(const Var& x) override {
    const Stream out = advance({x, {}});
    return autograd::add(out.branch, out.x);
  }

  /// x = x + attn(norm1(x)), x = x + mlp(norm2(x)). With `class_token_alone` the result has the first token
  /// only: where nothing reads the others, they are keys and values alone, without projection and MLP.
  Stream advance(const Stream& in, bool class_token_alone = false) {
    Var x = in.x, h;
    if (in.branch.defined()) {
      const auto [sum, y] = norm1_.add(in.branch, in.x);
      x = sum, h = y;
    } else {
      h = norm1_(x);
    }
    h = attn_.attend(h, {.queries = class_token_alone ? 1 : 0});
    if (class_token_alone) x = autograd::slice_tokens(x, 0, 1);
    const auto [sum, y] = norm2_.add(drop_path1_(attn_.project(h)), x);
    return {sum, drop_path2_(mlp_(y))};
  }

  void visit(Visitor& v) override {
    v("norm1", norm1_), v("attn", attn_), v("drop_path1", drop_path1_);
    v("norm2", norm2_), v("mlp", mlp_), v("drop_path2", drop_path2_);
  }

  static constexpr LayerNormOptions norm{.eps = 1e-6};

 private:
  LayerNorm norm1_;
  Attention attn_;
  DropPath drop_path1_;
  LayerNorm norm2_;
  Mlp mlp_;
  DropPath drop_path2_;
};

class Vit final : public Model {
 public:
  struct Config : ResidualModelConfig {
    int64_t patch = 16, width = 0, depth = 12, heads = 0;
  };

  Vit(const Config& c, const Shape& sample)
      : width_(c.width),
        norm_(c.width, Block::norm),
        drop_(c.drop_rate),
        head_(linear(c.width, c.num_classes)) {
    const int64_t channels = image_channels(sample, "a ViT");
    check(Exit::usage, sample[0] > 0 && sample[1] > 0 && sample[0] % c.patch == 0 && sample[1] % c.patch == 0,
          "a ViT with patches of {0}x{0} pixels needs images whose sides are multiples of {0}, not {1}x{2} "
          "(DATA.IMG_SIZE)",
          c.patch, sample[0], sample[1]);
    patch_embed_.emplace(channels, c.width, c.patch);
    const int64_t tokens = 1 + sample[0] / c.patch * (sample[1] / c.patch);
    cls_token_ = Parameter({1, 1, c.width}, Init::normal(1e-6));
    pos_embed_ = Parameter({1, tokens, c.width}, Init::truncated_normal(0.02));
    for (int64_t i = 0; i < c.depth; ++i) {
      const double rate = c.drop_path_rate * static_cast<double>(i) / static_cast<double>(c.depth - 1);
      blocks_.emplace_back(c.width, c.heads, rate);
    }
  }

  Var forward(const Var& x) override {
    Stream s{embed((*patch_embed_)(x)), {}};
    for (Block& block : blocks_) s = block.advance(s, &block == &blocks_.back());
    const Var token = norm_.add(s.branch, s.x).y;
    return head_(drop_(autograd::view(token, {token.shape()[0], width_})));
  }

  /// Each block's output as a map of its patches, as timm's forward_intermediates gives it.
  std::vector<Var> features(const Var& x) override {
    const Var patches = (*patch_embed_)(x);
    std::vector<Var> outputs;
    Var h = embed(patches);
    for (Block& block : blocks_) {
      h = block(h);
      outputs.push_back(autograd::view(autograd::slice_tokens(h, 1, h.shape()[1]), patches.shape()));
    }
    return outputs;
  }

  std::string classifier() const override { return "head"; }
  std::vector<std::string> no_weight_decay() const override { return {"pos_embed", "cls_token"}; }

  void visit(Visitor& v) override {
    v("patch_embed", patch_embed_), v("cls_token", cls_token_), v("pos_embed", pos_embed_);
    v("blocks", blocks_), v("norm", norm_), v("head_drop", drop_), v("head", head_);
  }

 private:
  /// Patches [N, H, W, D] -> tokens [N, 1 + H W, D]. Sums over the depth begin here, in the dtype of the
  /// position embedding: f32 beside narrower activations.
  Var embed(const Var& patches) {
    const Shape& s = patches.shape();
    return autograd::embed_tokens(autograd::view(patches, {s[0], s[1] * s[2], width_}), cls_token_.var,
                                  pos_embed_.var, pos_embed_.var.value().dtype());
  }

  int64_t width_;
  std::optional<PatchEmbed> patch_embed_;
  Parameter cls_token_, pos_embed_;
  std::vector<Block> blocks_;
  LayerNorm norm_;
  Dropout drop_;
  Linear head_;
};

Vit::Config family(int64_t patch, int64_t width, int64_t heads) {
  Vit::Config c;
  c.patch = patch;
  c.width = width;
  c.heads = heads;
  return c;
}

const bool registered = models().add<Vit>("vit_tiny_patch16_224", family(16, 192, 3)) &&
                        models().add<Vit>("vit_small_patch16_224", family(16, 384, 6)) &&
                        models().add<Vit>("vit_small_patch32_224", family(32, 384, 6)) &&
                        models().add<Vit>("vit_base_patch16_224", family(16, 768, 12)) &&
                        models().add<Vit>("vit_base_patch32_224", family(32, 768, 12));

}  // namespace
}  // namespace trainer::nn
