// Training a part of a model, from outside.
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

Words with(Words words, const Words& more) {
  words.insert(words.end(), more.begin(), more.end());
  return words;
}

}  // namespace

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
