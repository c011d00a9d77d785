// What goes wrong: the contract's exit code, one clear cause on stderr, and nothing half-written.
#include <cmath>

#include "tests/apps/program.h"

using namespace program;

namespace {

/// Runs the MLP with these words appended and expects this failure; no run directory may appear.
std::string refused(Exit code, const Words& opts, const Words& flags = {}) {
  const TempFolder folder;
  const fs::path output = folder / "output";
  Words words = mlp_words(output, "t", opts);
  words.insert(words.end(), flags.begin(), flags.end());
  const std::string text = message_of(code, words);
  CHECK_FALSE(fs::exists(output));
  return text;
}

void truncate(const fs::path& file) { fs::resize_file(file, fs::file_size(file) - 100); }

}  // namespace

TEST_CASE("mistakes in keys and values") {
  CHECK_THAT(refused(Exit::usage, {"DATA.BATCHSIZE", "3"}),
             ContainsSubstring("DATA.BATCHSIZE") && ContainsSubstring("did you mean DATA.BATCH_SIZE?"));
  CHECK_THAT(refused(Exit::usage, {"DATA.BATCH_SIZE", "many"}),
             ContainsSubstring("DATA.BATCH_SIZE") && ContainsSubstring("int"));
  CHECK_THAT(refused(Exit::usage, {"DATA.BATCH_SIZE", "0"}), ContainsSubstring("DATA.BATCH_SIZE"));
  CHECK_THAT(refused(Exit::usage, {"DATA.BATCH_SIZE"}),
             ContainsSubstring("DATA.BATCH_SIZE") && ContainsSubstring("no value"));
}

TEST_CASE("a feature that is not built is refused in every mode that would want it") {
  for (const Words& mode : {Words{}, {"--eval"}, {"--throughput"}, {"--dry-run"}}) {
    INFO((mode.empty() ? "training" : mode[0]));
    CHECK_THAT(refused(Exit::usage, {"TEST.CROP", "False"}, mode),
               ContainsSubstring(": TEST.CROP: known but not implemented yet"));
  }
}

TEST_CASE("all mistakes of a configuration come at once") {
  const Outcome result = outcome_of({"--cfg", mlp, "--opts", "DATA.BATCHSIZE", "3", "TRAIN.EPOCHS", "ten"});
  CHECK(result.code == 2);
  CHECK_THAT(result.err, ContainsSubstring("DATA.BATCHSIZE") && ContainsSubstring("TRAIN.EPOCHS"));
}

TEST_CASE("mistakes in names") {
  CHECK_THAT(refused(Exit::usage, {"MODEL.NAME", "resnet81"}), ContainsSubstring("did you mean resnet18"));
  CHECK_THAT(refused(Exit::usage, {"DATA.DATASET", "digit"}), ContainsSubstring("did you mean digits?"));
  CHECK_THAT(refused(Exit::usage, {"DATA.DATASET", "x"}), ContainsSubstring("known: digits,"));
  CHECK_THAT(refused(Exit::usage, {"TRAIN.OPTIMIZER.NAME", "adamv"}),
             ContainsSubstring("did you mean adamw?"));
  CHECK_THAT(refused(Exit::usage, {"TRAIN.LR_SCHEDULER.NAME", "cosin"}),
             ContainsSubstring("did you mean cosine?"));
  CHECK_THAT(refused(Exit::usage, {"TRAIN.LOSS", "crossentropy"}),
             ContainsSubstring("did you mean cross_entropy?"));
}

TEST_CASE("what is known but not there yet is refused, not ignored") {
  for (const Words& opts : {Words{"AUG.ENABLE", "True"}, Words{"MODEL.TYPE", "swin"}}) {
    CHECK_THAT(refused(Exit::usage, opts),
               ContainsSubstring(opts[0]) && ContainsSubstring("known but not implemented yet"));
  }
  CHECK_THAT(refused(Exit::usage, {"PLUGINS", "['mine.so']"}),
             ContainsSubstring("PLUGINS") && ContainsSubstring("known but not implemented yet"));
  CHECK_THAT(refused(Exit::usage, {"MODEL.TYPE", "swim"}), ContainsSubstring("unknown type 'swim'"));
  CHECK_THAT(refused(Exit::usage, {"AMP.DTYPE", "bf61"}), ContainsSubstring("did you mean bf16?"));
  CHECK_THAT(refused(Exit::usage, {"AMP_OPT_LEVEL", "O4"}), ContainsSubstring("AMP_OPT_LEVEL"));
  CHECK_THAT(refused(Exit::usage, {"ENABLE_AMP", "True", "AMP_ENABLE", "False"}),
             ContainsSubstring("ENABLE_AMP True contradicts AMP_ENABLE False"));
}

TEST_CASE("mistakes on the command line") {
  CHECK_THAT(refused(Exit::usage, {}, {"--batchsize", "3"}), ContainsSubstring("did you mean --batch-size?"));
  CHECK_THAT(refused(Exit::usage, {}, {"--batch-size"}), ContainsSubstring("--batch-size"));
  CHECK_THAT(refused(Exit::usage, {}, {"--throughput", "fast"}), ContainsSubstring("fast"));
  CHECK_THAT(message_of(Exit::usage, {"device"}), ContainsSubstring("did you mean devices?"));
  CHECK_THAT(message_of(Exit::usage, {"devices", "--query", "coers"}),
             ContainsSubstring("did you mean cores?"));
  CHECK_THAT(message_of(Exit::usage, {"models", "nothing*"}), ContainsSubstring("nothing*"));
  CHECK_THAT(message_of(Exit::usage, {"predict", "--input", "a", "--output", "b"}),
             ContainsSubstring("--cfg") && ContainsSubstring("--model"));
  CHECK_THAT(message_of(Exit::usage, {"--explain", "DATA.BATCHSIZE"}),
             ContainsSubstring("did you mean DATA.BATCH_SIZE?"));
  CHECK_THAT(refused(Exit::usage, {"DEVICE", "cpu:7"}), ContainsSubstring("cpu:7"));
}

TEST_CASE("configuration files that cannot be used") {
  const TempFolder folder;
  const std::string missing = (folder / "missing.yaml").string(), broken = (folder / "broken.yaml").string();
  CHECK_THAT(message_of(Exit::usage, {"--cfg", missing}), ContainsSubstring(missing));
  std::ofstream(broken) << "DATA:\n  BATCH_SIZE: [1\n";
  CHECK_THAT(message_of(Exit::usage, {"--cfg", broken}), ContainsSubstring(broken + ":"));
  std::ofstream(broken) << "DATA:\n  BATCH_SIZ: 1\n";
  CHECK_THAT(message_of(Exit::usage, {"--cfg", broken}),
             ContainsSubstring(broken + ":2:") && ContainsSubstring("did you mean DATA.BATCH_SIZE?"));
}

TEST_CASE("an output directory that cannot be written") {
  const TempFolder folder;
  std::ofstream(folder / "file") << "not a folder";
  const std::string text = message_of(Exit::usage, mlp_words(folder / "file", "t"));
  CHECK_THAT(text, ContainsSubstring((folder / "file").string()));
  message_of(Exit::usage, mlp_words("/proc/nothing", "t"));
}

TEST_CASE("data that cannot be used") {
  const TempFolder folder;
  const fs::path file = folder / "train.safetensors";
  const Words opts{"DATA.DATASET", "tensors", "DATA.DATA_PATH", folder.path().string()};
  CHECK_THAT(refused(Exit::data, opts), ContainsSubstring(file.string()));
  SECTION("truncated") {
    write_images(file, 64);
    truncate(file);
    CHECK_THAT(refused(Exit::data, opts), ContainsSubstring(file.string()));
  }
  SECTION("a label out of range") {
    write_images(file, 64, 0.5, {0, 1, 2, 10});
    CHECK_THAT(refused(Exit::data, opts),
               ContainsSubstring(file.string()) && ContainsSubstring("sample 3") && ContainsSubstring("10"));
  }
  SECTION("a label out of range in the validation data") {
    write_images(file, 64);
    write_images(folder / "val.safetensors", 4, 0.5, {0, 1, -1, 3});
    CHECK_THAT(refused(Exit::data, opts), ContainsSubstring("val.safetensors") &&
                                              ContainsSubstring("sample 2") && ContainsSubstring("-1"));
  }
  SECTION("the path is not given") {
    CHECK_THAT(refused(Exit::usage, {"DATA.DATASET", "tensors"}), ContainsSubstring("DATA.DATA_PATH"));
  }
  SECTION("fewer samples than one batch") {
    write_images(file, 8);
    CHECK_THAT(refused(Exit::usage, opts), ContainsSubstring("DATA.DROP_LAST"));
  }
  SECTION("other channels than MODEL.IN_CHANS") {
    CHECK_THAT(refused(Exit::usage, {"MODEL.IN_CHANS", "3"}), ContainsSubstring("MODEL.IN_CHANS"));
  }
}

TEST_CASE("weights that cannot be used") {
  const TempFolder folder;
  const fs::path run = train_mlp(folder.path(), "source", {"TRAIN.MAX_STEPS", "1"});
  const fs::path file = checkpoint(run) / "model.safetensors";
  const Words flags{"--pretrained", file.string()};
  SECTION("they do not fit: all of them are listed") {
    const std::string text = refused(Exit::weights, {"MODEL.MLP.HIDDEN", "[256, 32, 16]"}, flags);
    CHECK_THAT(text, ContainsSubstring(file.string()) && ContainsSubstring("layers.1.weight") &&
                         ContainsSubstring("[256, 256]") && ContainsSubstring("[32, 256]") &&
                         ContainsSubstring("missing     layers.2.bias"));
  }
  SECTION("another number of classes is legal: the classifier begins anew") {
    const Outcome result = outcome_of(
        {"--cfg", mlp, "--dry-run", "--pretrained", file.string(), "--opts", "MODEL.NUM_CLASSES", "12"});
    CHECK(result.code == 0);
    CHECK_THAT(result.err, ContainsSubstring("classifier 'head'"));
  }
  SECTION("truncated") {
    truncate(file);
    CHECK_THAT(refused(Exit::weights, {}, flags), ContainsSubstring(file.string()));
    message_of(Exit::weights, {"inspect", file.string()});
  }
  SECTION("missing") {
    fs::remove(file);
    CHECK_THAT(refused(Exit::weights, {}, flags), ContainsSubstring(file.string()));
  }
}

TEST_CASE("a loss that is not finite ends the run") {
  const TempFolder folder;
  write_images(folder / "train.safetensors", 256, std::nan(""));
  const std::string text =
      message_of(Exit::diverged, mlp_words(folder.path(), "t",
                                           {"DATA.DATASET", "tensors", "DATA.DATA_PATH",
                                            folder.path().string(), "TRAIN.MAX_NONFINITE", "2"}));
  CHECK_THAT(text, ContainsSubstring("loss nan") && ContainsSubstring("step 2") &&
                       ContainsSubstring("2 steps in a row; the input of row 0 of the batch (") &&
                       ContainsSubstring("train.safetensors: sample "));
  CHECK(entries(folder / "mlp" / "t" / "checkpoints") == std::set<std::string>{".run"});

  CHECK_THAT(message_of(Exit::diverged, mlp_words(folder.path(), "u",
                                                  {"TRAIN.BASE_LR", "1.0e+30", "TRAIN.WARMUP_EPOCHS", "0"})),
             ContainsSubstring("diverged") && ContainsSubstring("inputs and targets are finite"));
}
