// Training a part of a model, from outside: TRAIN.FREEZE and MODEL.LORA.
#include <map>

#include "tests/apps/program.h"
#include "tests/temp_folder.h"

using namespace program;
using trainer::Tensor;

namespace {

using Tensors = std::map<std::string, std::string>;  // bytes with shape

Tensors tensors(const fs::path& file) {
  const trainer::io::SafetensorsFile from(file, Exit::weights);
  Tensors all;
  for (const auto& info : from.tensors()) {
    const Tensor t = from.tensor(info.name);
    all[info.name] = t.shape().str() + std::string(reinterpret_cast<const char*>(t.raw()), t.bytes());
  }
  return all;
}

std::set<std::string> names(const Tensors& all) {
  std::set<std::string> names;
  for (const auto& [name, bytes] : all) names.insert(name);
  return names;
}

/// Logits of the images by the weights of a run.
Tensor logits(const fs::path& config, const fs::path& run, const fs::path& images, const fs::path& output) {
  succeed({"predict", "--cfg", config, "--weights", run, "--input", images, "--output", output});
  return trainer::io::SafetensorsFile(output, Exit::data).tensor("logits").clone();
}

const Words lora{"MODEL.LORA.RANK", "4", "MODEL.LORA.DROPOUT", "0.1", "SAVE_STEPS", "7", "SAVE_KEEP", "9"};

Words with(Words words, const Words& more) {
  words.insert(words.end(), more.begin(), more.end());
  return words;
}

}  // namespace

TEST_CASE("a run with LoRA leaves plain weights behind, and its base as it was") {
  const TempFolder folder;
  const fs::path base = train_mlp(folder.path(), "base");
  const Words opts = with(lora, {"MODEL.PRETRAINED", base.string()});
  const fs::path run = train_mlp(folder.path(), "lora", opts);
  const Tensors before = tensors(checkpoint(base) / "model.safetensors"),
                after = tensors(checkpoint(run) / "model.safetensors");
  CHECK(names(after) == names(before));
  CHECK(after.at("layers.0.weight") != before.at("layers.0.weight"));
  CHECK(after.at("layers.0.bias") == before.at("layers.0.bias"));
  CHECK(after.at("head.weight") != before.at("head.weight"));
  const Tensors state = tensors(checkpoint(run) / "state.safetensors");
  CHECK(state.at("model.layers.0.weight") == before.at("layers.0.weight"));
  CHECK(state.at("model.layers.1.weight") == before.at("layers.1.weight"));
  CHECK(state.contains("exp_avg.layers.1.lora_B.weight"));
  CHECK_FALSE(state.contains("exp_avg.layers.1.weight"));

  // The program itself takes them for a plain model's: with the run's configuration and with another.
  succeed({"inspect", run, "--against", "mlp", "--cfg", mlp});
  write_images(folder / "x.safetensors", 6);
  const Tensor same = logits(run / "config.yaml", run, folder / "x.safetensors", folder / "y.safetensors");
  const Tensor plain = logits(mlp, run, folder / "x.safetensors", folder / "z.safetensors");
  CHECK(std::ranges::equal(same.span<float>(), plain.span<float>()));

  // --eval judges the merged weights: what training saw, up to rounding.
  const auto evaluation =
      json::parse(succeed({"--cfg", (run / "config.yaml").string(), "--eval", "--resume", run}).out);
  CHECK(evaluation.at("loss").get<double>() ==
        Approx(metrics(run, "eval").back().at("loss").get<double>()).epsilon(1e-5));
}

TEST_CASE("a run with LoRA goes on bit for bit, adapters and base apart") {
  const TempFolder folder;
  const fs::path whole = train_mlp(folder.path(), "whole", lora);
  const Words words = mlp_words(folder.path(), "second", lora);
  succeed(with({"--resume", whole / "checkpoints" / "step-00000007"}, words));
  const fs::path second = folder / "mlp" / "second";
  for (const char* file : {"model.safetensors", "state.safetensors"}) {
    CHECK(text_of(checkpoint(second) / file) == text_of(checkpoint(whole) / file));
  }
  CHECK_THAT(message_of(Exit::usage, with({"--resume", whole / "checkpoints" / "step-00000007"},
                                          mlp_words(folder.path(), "third", {"SAVE_STEPS", "7"}))),
             ContainsSubstring("MODEL.LORA.RANK"));
}

TEST_CASE("TRAIN.FREEZE leaves parameters as they were") {
  const TempFolder folder;
  const fs::path base = train_mlp(folder.path(), "base");
  const fs::path run =
      train_mlp(folder.path(), "frozen", {"TRAIN.FREEZE", "[backbone]", "MODEL.PRETRAINED", base.string()});
  const Tensors before = tensors(checkpoint(base) / "model.safetensors"),
                after = tensors(checkpoint(run) / "model.safetensors");
  for (const auto& [name, bytes] : before) {
    INFO(name);
    CHECK((after.at(name) == bytes) == !name.starts_with("head."));
  }
  CHECK(names(tensors(checkpoint(run) / "state.safetensors")) ==
        std::set<std::string>{"exp_avg.head.bias", "exp_avg.head.weight", "exp_avg_sq.head.bias",
                              "exp_avg_sq.head.weight"});
  CHECK_THAT(succeed({"--cfg", mlp, "--dry-run", "--opts", "TRAIN.FREEZE", "['layers.0']"}).out,
             ContainsSubstring("mlp: 85,002 parameters, 68,362 of them trained"));
  CHECK_THAT(message_of(Exit::usage, {"--cfg", mlp, "--dry-run", "--opts", "TRAIN.FREEZE", "['layer.0']"}),
             ContainsSubstring("no parameter of the model is named 'layer.0' (did you mean layers"));
  CHECK_THAT(
      message_of(Exit::usage, {"--cfg", mlp, "--dry-run", "--opts", "TRAIN.FREEZE", "[backbone, head]"}),
      ContainsSubstring("TRAIN.FREEZE leaves nothing to train"));
}

TEST_CASE("a frozen batch norm keeps its statistics") {
  const TempFolder folder;
  const auto cnn = [&](const std::string& tag, const Words& opts) {
    Words words{"--cfg",    TESTS_DIR "/../configs/digits/cnn.yaml",
                "--output", folder.path().string(),
                "--tag",    tag,
                "--opts",   "THREADS",
                "1",        "TRAIN.EPOCHS",
                "1",        "MODEL.CNN.WIDTHS",
                "[4,8]"};
    succeed(with(words, opts));
    return tensors(checkpoint(folder / "cnn" / tag) / "model.safetensors");
  };
  const Tensors before = cnn("base", {});
  const Tensors after =
      cnn("frozen", {"TRAIN.FREEZE", "['blocks.0']", "MODEL.PRETRAINED", (folder / "cnn" / "base").string()});
  for (const auto& [name, bytes] : before) {
    INFO(name);
    CHECK((after.at(name) == bytes) == name.starts_with("blocks.0."));
  }
}
