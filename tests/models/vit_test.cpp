// What only vision transformers have to be asked.
#include "lib/config/config.h"
#include "lib/nn/model.h"
#include "lib/optim/parameters.h"
#include "tests/catch.h"

using namespace trainer;

namespace {

std::unique_ptr<nn::Model> make(const Shape& sample) {
  const config::Config c = config::Config::defaults();
  return nn::models().make("vit_tiny_patch16_224", c.group("MODEL"), sample);
}

}  // namespace

TEST_CASE("a ViT is built for the size of its samples") {
  std::map<std::string, Shape> shapes;
  const auto model = make({48, 32, 1});
  for (const auto& p : nn::parameters(*model)) shapes[p.name] = p.value->var.shape();
  CHECK(shapes.at("pos_embed") == Shape{1, 7, 192});
  CHECK(shapes.at("patch_embed.proj.weight") == Shape{192, 16, 16, 1});
  CHECK_THROWS_WITH(make({40, 32, 3}), ContainsSubstring("multiples of 16, not 40x32 (DATA.IMG_SIZE)"));
  CHECK_THROWS_WITH(make({8, 8, 3}), ContainsSubstring("multiples of 16, not 8x8"));
  CHECK_THROWS_WITH(make({17}), ContainsSubstring("a ViT needs images [H, W, C]"));
}

TEST_CASE("class token, position embedding, biases and norms of a ViT are not decayed") {
  const auto model = make({32, 32, 3});
  nn::initialize(*model, 1);
  const optim::Parameters parameters(*model, {.weight_decay = 0.05, .no_decay = model->no_weight_decay()});
  int64_t decayed = 0;
  for (const optim::Span& span : parameters.trainable()) {
    const bool is_weight = span.name.ends_with(".weight") && span.name.find("norm") == std::string::npos;
    INFO(span.name);
    CHECK((span.weight_decay > 0) == is_weight);
    decayed += span.weight_decay > 0;
  }
  CHECK(decayed == 12 * 4 + 2);
}
