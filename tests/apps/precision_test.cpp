// What a run says of its precision: asked for and not given.
#include "tests/apps/program.h"

using namespace program;

namespace {

constexpr auto without_effect = "without effect";

/// What --throughput of a tiny MLP says on stderr.
std::string said_of(const Words& opts, const Words& flags = {}) {
  Words words{"--cfg",   mlp, "--throughput",     "--seconds", "0.001", "--opts",
              "THREADS", "1", "MODEL.MLP.HIDDEN", "[8]"};
  words.insert(words.end(), opts.begin(), opts.end());
  words.insert(words.end(), flags.begin(), flags.end());
  return succeed(words).err;
}

size_t count(const std::string& text, const std::string& part) {
  size_t found = 0;
  for (size_t at = text.find(part); at != text.npos; at = text.find(part, at + 1)) ++found;
  return found;
}

}  // namespace

TEST_CASE("16 bits that were asked for and are not given: a warning with the keys to set") {
  // configs/_base_/digits.yaml sets AMP_ENABLE False.
  const std::string off = said_of({"AMP.DTYPE", "bf16"});
  CHECK_THAT(off, ContainsSubstring(
                      "warning: AMP.DTYPE bf16 (--opts pair 3) without effect: AMP_ENABLE is False (") &&
                      ContainsSubstring("digits.yaml:2") &&
                      ContainsSubstring("For mixed precision set AMP_ENABLE True\n"));
  CHECK(count(off, without_effect) == 1);

  CHECK_THAT(
      said_of({"AMP_ENABLE", "True", "AMP_OPT_LEVEL", "O2"}),
      ContainsSubstring("AMP_OPT_LEVEL O2 (--opts pair 4) without effect: AMP.DTYPE auto is f32 here") &&
          ContainsSubstring("set AMP.DTYPE bf16\n"));
  CHECK_THAT(said_of({}, {"--amp-opt-level", "O1"}),
             ContainsSubstring("AMP_OPT_LEVEL O1 (--amp-opt-level) without effect") &&
                 ContainsSubstring("set AMP_ENABLE True AMP.DTYPE bf16\n"));
  CHECK_THAT(said_of({"AMP_ENABLE", "True", "AMP.DTYPE", "f16", "AMP_OPT_LEVEL", "O0"}),
             ContainsSubstring("AMP_OPT_LEVEL is O0") && ContainsSubstring("set AMP_OPT_LEVEL O1\n"));
}

TEST_CASE("f32 that was asked for is no surprise") {
  for (const Words& opts : {Words{}, Words{"AMP.DTYPE", "f32"}, Words{"AMP_ENABLE", "True"},
                            Words{"AMP_OPT_LEVEL", "O0"}, Words{"AMP_ENABLE", "True", "AMP.DTYPE", "bf16"}}) {
    CAPTURE(opts);
    CHECK_THAT(said_of(opts), !ContainsSubstring("warning"));
  }
  CHECK_THAT(said_of({"AMP_ENABLE", "True", "AMP.DTYPE", "bf16"}, {"--disable-amp"}),
             !ContainsSubstring("warning"));
}

TEST_CASE("training, evaluation, prediction and the plan say it once each, training in its log as well") {
  const TempFolder folder;
  Words words = mlp_words(folder.path(), "t", {"TRAIN.MAX_STEPS", "1", "AMP.DTYPE", "bf16"});
  CHECK(count(succeed(words).err, without_effect) == 1);
  const fs::path run = folder / "mlp" / "t";
  CHECK(count(text_of(run / "log.txt"), without_effect) == 1);

  words.emplace_back("--eval");
  CHECK(count(succeed(words).err, without_effect) == 1);
  words.back() = "--dry-run";
  CHECK(count(succeed(words).err, without_effect) == 1);

  const fs::path images = folder / "images.safetensors";
  write_images(images, 4);
  CHECK(count(succeed({"predict", "--cfg", mlp, "--weights", run.string(), "--input", images.string(),
                       "--output", (folder / "logits.safetensors").string(), "--opts", "AMP.DTYPE", "bf16"})
                  .err,
              without_effect) == 1);
}
