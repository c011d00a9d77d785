// What a run says of its precision: asked for and not given, and slow here.
#include "lib/backend/cpu/info.h"
#include "tests/apps/program.h"

using namespace program;

namespace {

constexpr auto without_effect = "without effect";

/// What --throughput of a tiny MLP says on stderr.
std::string said_of(const Words& opts, const Words& flags = {}, const Words& environment = {}) {
  Words words{"--cfg",   mlp, "--throughput",     "--seconds", "0.001", "--opts",
              "THREADS", "1", "MODEL.MLP.HIDDEN", "[8]"};
  words.insert(words.end(), opts.begin(), opts.end());
  words.insert(words.end(), flags.begin(), flags.end());
  const Outcome result = Process(command(words), environment).wait();
  REQUIRE(result.code == 0);
  return result.err;
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

TEST_CASE(
    "which 16-bit type is fast depends on the processor, which --throughput, --eval and predict say, too") {
  const Words avx2{"ONEDNN_MAX_CPU_ISA=AVX2"}, bf16{"AMP_ENABLE", "True", "AMP.DTYPE", "bf16"},
      f16{"AMP_ENABLE", "True", "AMP.DTYPE", "f16"};
  constexpr auto f32_is_fast = "f32 is the fast type here", bf16_is_fast = "bf16 is the fast type here";
  for (const Words& type : {bf16, f16}) {
    CAPTURE(type.back());
    const std::string said = said_of(type, {}, avx2);
    CHECK(count(said, f32_is_fast) == 1);
    CHECK(count(said, "every product converts to f32") == 1);
    CHECK_THAT(said, !ContainsSubstring(bf16_is_fast));
  }
  if (trainer::cpu::multiplies_bf16()) {
    CHECK(count(said_of(f16), bf16_is_fast) == 1);
    CHECK_THAT(said_of(bf16),
               !ContainsSubstring("fast type") && ContainsSubstring("mixed precision: bf16 (O1)\n"));
  }

  const TempFolder folder;
  const auto said_by = [&](Words words) {
    words.insert(words.end(), {"--opts", "AMP_ENABLE", "True", "AMP.DTYPE", "bf16", "TRAIN.MAX_STEPS", "1"});
    const Outcome result = Process(command(words), avx2).wait();
    INFO(result.err);
    CHECK(result.code == 0);
    return count(result.err, f32_is_fast);
  };
  const Words train{"--cfg", mlp, "--output", folder.path().string()};
  CHECK(said_by(train) == 1);
  CHECK(count(text_of(folder / "mlp" / "default" / "log.txt"), f32_is_fast) == 1);
  Words words = train;
  words.emplace_back("--eval");
  CHECK(said_by(words) == 1);
  words.back() = "--dry-run";
  CHECK(said_by(words) == 1);
  const fs::path images = folder / "images.safetensors";
  write_images(images, 4);
  CHECK(said_by({"predict", "--cfg", mlp, "--input", images.string(), "--output",
                 (folder / "logits.safetensors").string()}) == 1);
}
