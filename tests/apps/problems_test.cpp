// Everything that is wrong with files, --opts and flags comes in one answer, in the order of layers.
#include "tests/apps/program.h"

using namespace program;

namespace {

struct Files {
  TempFolder folder;
  std::string a = write("a.yaml", "DATA: {DATASET: digits}\n");

  std::string write(const std::string& name, const std::string& text) const {
    std::ofstream(folder / name) << text;
    return (folder / name).string();
  }
};

}  // namespace

TEST_CASE("an unknown key, a wrong type and an unknown flag come at once") {
  const Files f;
  // trainer --cfg a.yaml --opts TRAIN.BASELR 0.1 DATA.BATCH_SIZE x --frobnicate
  CHECK(message_of(Exit::usage,
                   {"--cfg", f.a, "--opts", "TRAIN.BASELR", "0.1", "DATA.BATCH_SIZE", "x", "--frobnicate"}) ==
        "error: --opts pair 1: TRAIN.BASELR: unknown key (did you mean TRAIN.BASE_LR?)\n"
        "--opts pair 2: DATA.BATCH_SIZE: expected int, given 'x' (str)\n"
        "unknown argument --frobnicate (see trainer --help)\n");
  CHECK_THAT(
      message_of(Exit::usage, {"--cfg", "gone.yaml", "--opts", "TRAIN.BASELR", "1", "--batchsize", "3"}),
      ContainsSubstring("error: gone.yaml: cannot be read: No such file or directory\n--opts pair 1: ") &&
          ContainsSubstring("\nunknown argument --batchsize (did you mean --batch-size?)\n"));
}

TEST_CASE("files, --opts, keys' flags, other flags: all of their mistakes, in this order") {
  const Files f;
  f.write("base.yaml", "TRAIN: {EPOCHS: many}\n");
  const std::string file = f.write("exp.yaml",
                                   "BASE: base.yaml\n"
                                   "DATA:\n"
                                   "  BATCH_SIZE: 0\n"
                                   "  BATCHSIZE: 3\n"
                                   "AMP: {DTYPE: bf61}\n"
                                   "TRAIN:\n"
                                   "  LR_SCALING: liner\n"
                                   "  SYNC_BN: [1]\n"
                                   "  OPTIMIZER: {NAME: adamv}\n"
                                   "TEST: {CROP: false}\n");
  for (const bool settings_only : {false, true}) {
    Words words{"--accumulation-steps",
                "two",
                "--disable_amp=maybe",
                "--cfg",
                file,
                "--batch-size",
                "abc",
                "--resum",
                "x",
                "--throughput=fast"};
    if (settings_only) words.push_back("--eval");
    words.insert(words.end(), {"--opts", "TRAIN.MAX_STEPS", "-1", "MODEL.DROP_RATE=2", "MODEL.NAME",
                               "resnet81", "--opts", "TRAIN.EPOCHS"});
    const std::string base = (f.folder / "base.yaml").string();
    const std::string text = message_of(Exit::usage, words);
    INFO(text);
    const Words expected{
        "error: " + base + ":1:9: TRAIN.EPOCHS: expected int, given 'many' (str)",
        file + ":3:3: DATA.BATCH_SIZE: expected int >= 1, given 0 (int)",
        file + ":4:3: DATA.BATCHSIZE: unknown key (did you mean DATA.BATCH_SIZE?)",
        file +
            ":5:7: AMP.DTYPE: expected one of auto, f32, bf16, f16, given 'bf61' (str) (did you mean bf16?)",
        file +
            ":7:3: TRAIN.LR_SCALING: expected one of linear, sqrt, none, given 'liner' (str) (did you mean "
            "linear?)",
        file + ":8:3: TRAIN.SYNC_BN: expected bool, given [1] (list)",
        file + ":9:15: TRAIN.OPTIMIZER.NAME: unknown optimizer 'adamv' (did you mean adamw?)",
        file + ":10:8: TEST.CROP: known but not implemented yet, given False (bool)",
        "--opts pair 1: TRAIN.MAX_STEPS: expected int >= 0, given -1 (int)",
        "--opts pair 2: MODEL.DROP_RATE: expected float >= 0 and <= 0.999, given 2.0 (float)",
        "--opts pair 3: MODEL.NAME: unknown model 'resnet81' (did you mean ",
        "--opts pair 4: TRAIN.EPOCHS: has no value; expected KEY VALUE pairs",
        "--batch-size: DATA.BATCH_SIZE: expected int, given 'abc' (str)",
        "--accumulation-steps: TRAIN.ACCUMULATION_STEPS: expected int, given 'two' (str)",
        "--disable-amp=maybe: takes no value",
        "unknown argument --resum (did you mean --resume?)",
        "--throughput fast: expected one of train, eval",
    };
    size_t at = 0;
    for (const std::string& line : expected) {
      const bool of_training =
          line.find("unknown optimizer") != line.npos || line.find("unknown model") != line.npos;
      if (settings_only && of_training) continue;
      INFO(line);
      const size_t found = text.find(line, at);
      REQUIRE(found != text.npos);
      at = found;
    }
  }
}

TEST_CASE("values out of range, bad choices and names of several groups come at once") {
  const std::string text = message_of(
      Exit::usage, {"--cfg", mlp, "--opts", "TRAIN.EPOCHS", "-1", "DATA.BATCH_SIZE", "0", "AMP.DTYPE", "f15",
                    "SEED", "-3", "TRAIN.LOSS", "crossentropy", "TEST.CROP", "False"});
  CHECK(text ==
        "error: --opts pair 1: TRAIN.EPOCHS: expected int >= 0, given -1 (int)\n"
        "--opts pair 2: DATA.BATCH_SIZE: expected int >= 1, given 0 (int)\n"
        "--opts pair 3: AMP.DTYPE: expected one of auto, f32, bf16, f16, given 'f15' (str) (did you mean "
        "f16?)\n"
        "--opts pair 4: SEED: expected int >= 0, given -3 (int)\n"
        "--opts pair 5: TRAIN.LOSS: unknown loss 'crossentropy' (did you mean cross_entropy?)\n"
        "--opts pair 6: TEST.CROP: known but not implemented yet, given False (bool)\n");
}

TEST_CASE("the modes that only merge complain of words and configuration together, too") {
  for (const Words& mode : {Words{"--dump-config"}, Words{"--explain", "TAG"}}) {
    Words words{"--opts", "TRAIN.BASELR", "1", "--batch-size", "abc", "--frobnicate"};
    words.insert(words.end(), mode.begin(), mode.end());
    CHECK(message_of(Exit::usage, words) ==
          "error: --opts pair 1: TRAIN.BASELR: unknown key (did you mean TRAIN.BASE_LR?)\n"
          "--batch-size: DATA.BATCH_SIZE: expected int, given 'abc' (str)\n"
          "unknown argument --frobnicate (see trainer --help)\n");
  }
  CHECK(message_of(Exit::usage, {"predict", "--inptu", "x", "--output", "y", "--opts", "SEEDS", "1"}) ==
        "error: --opts pair 1: SEEDS: unknown key (did you mean SEED?)\n"
        "unknown argument --inptu (did you mean --input?)\n"
        "--input is missing (see trainer predict --help)\n");
  CHECK(
      message_of(Exit::usage, {"devices", "--opts", "A", "1"}).starts_with("error: unknown argument --opts"));
}
