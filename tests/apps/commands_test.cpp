// What trains nothing: help, configuration, devices, models, weights files, predictions.
#include <algorithm>
#include <chrono>

#include "lib/config/config.h"
#include "tests/apps/program.h"

using namespace program;

namespace {

int count(const std::string& text, const std::string& part) {
  int n = 0;
  for (size_t at = 0; (at = text.find(part, at)) != text.npos; at += part.size()) ++n;
  return n;
}

}  // namespace

TEST_CASE("flag --version names version, compiler, libraries and devices") {
  CHECK_THAT(succeed({"--version"}).out, ContainsSubstring("trainer ") && ContainsSubstring("libraries: ") &&
                                             ContainsSubstring("devices: cpu"));
}

TEST_CASE("flag --dump-config merges again to the same tree") {
  const TempFolder folder;
  const Outcome dump = succeed({"--cfg", mlp, "--dump-config", "--tag", "x: 'y'", "--batch_size", "32"});
  const fs::path file = folder / "dump.yaml";
  std::ofstream(file) << dump.out;
  CHECK(succeed({"--cfg", file.string(), "--dump-config"}).out == dump.out);
  trainer::config::Config again = trainer::config::Config::defaults();
  again.merge_file(file);
  CHECK(again.get<int64_t>("DATA.BATCH_SIZE") == 32);
  CHECK(again.get<std::string>("TAG") == "x: 'y'");
  CHECK(again.get<std::string>("MODEL.NAME") == "mlp");
}

TEST_CASE("flag --dump-config answers within 30 milliseconds", "[timing]") {
  const TempFolder folder;
  const fs::path file = folder / "all.yaml";
  std::ofstream(file) << trainer::config::Config::defaults().dump();  // every key
  std::vector<double> times;
  for (int i = 0; i < 30; ++i) {
    const auto start = std::chrono::steady_clock::now();
    const Outcome result = outcome_of({"--cfg", file.string(), "--dump-config"});
    times.push_back(
        std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count());
    CHECK(result.code == 0);
  }
  std::sort(times.begin(), times.end());
  WARN(fmt::format("least {:.1f} ms, median {:.1f} ms", times.front(), times[times.size() / 2]));
  CHECK(times.front() < 30);  // the machine may be busy
}

TEST_CASE("flag --dump-config prints the trees of Swin's configurations") {
  int files = 0;  // whether they are those of yacs: tests/config/swin_test.cpp
  for (const auto& entry : fs::directory_iterator(TESTS_DIR "/config/swin")) {
    INFO(entry.path());
    trainer::config::Config config = trainer::config::Config::defaults();
    config.merge_file(entry.path());
    CHECK(succeed({"--cfg", entry.path().string(), "--dump-config"}).out == config.dump());
    ++files;
  }
  CHECK(files == 46);
}

TEST_CASE("Swin's flags set their keys, and win over --opts") {
  const std::string dump =
      succeed({"--dump-config", "--batch-size", "32", "--accumulation-steps", "4", "--disable_amp",
               "--use-checkpoint", "--zip", "--cache-mode", "full", "--fused_window_process",
               "--fused_layernorm", "--local_rank", "1", "--optim", "sgd", "--opts", "DATA.BATCH_SIZE", "8"})
          .out;
  for (const char* line :
       {"BATCH_SIZE: 32", "ACCUMULATION_STEPS: 4", "AMP_ENABLE: false", "USE_CHECKPOINT: true",
        "ZIP_MODE: true", "CACHE_MODE: full", "FUSED_WINDOW_PROCESS: true", "FUSED_LAYERNORM: true",
        "LOCAL_RANK: 1", "NAME: sgd"}) {
    CHECK_THAT(dump, ContainsSubstring(line));
  }
}

TEST_CASE("flag --explain says where a value comes from") {
  const std::string text =
      succeed({"--cfg", mlp, "--explain", "DATA.BATCH_SIZE", "--opts", "DATA.BATCH_SIZE", "32"}).out;
  CHECK_THAT(text, ContainsSubstring("DATA.BATCH_SIZE = 32") && ContainsSubstring("default: 128") &&
                       ContainsSubstring("digits.yaml:") && ContainsSubstring("--opts pair 1: 32"));
}

TEST_CASE("flag --dry-run shows the model and the plan and writes nothing") {
  const TempFolder folder;
  const std::string text = succeed({"--cfg", mlp, "--dry-run", "--output", (folder / "output").string()}).out;
  CHECK_THAT(text, ContainsSubstring("85,002") && ContainsSubstring("layers.0") &&
                       ContainsSubstring("22 steps") && ContainsSubstring("weight decay"));
  CHECK_FALSE(fs::exists(folder / "output"));
}

TEST_CASE("models lists names, parameters and multiply-accumulates") {
  const json all = json::parse(succeed({"models", "--json", "resnet18"}).out);
  REQUIRE(all.size() == 1);
  CHECK(all[0]["name"] == "resnet18");
  CHECK(all[0]["parameters"] == 11689512);
  CHECK(all[0]["macs"].get<int64_t>() == 1814073344);
  CHECK_THAT(succeed({"models", "mlp"}).out, ContainsSubstring("mlp"));
}

TEST_CASE("devices in every format") {
  const json all = json::parse(succeed({"devices", "--format", "json"}).out);
  REQUIRE(all.size() >= 1);
  CHECK(all[0]["device"] == "cpu");
  CHECK(all[0]["cores"].get<int>() >= 1);
  CHECK_THAT(succeed({"devices"}).out, ContainsSubstring("memory.total"));
  CHECK(succeed({"devices", "--format", "csv", "--query", "device,index"}).out == "device, index\ncpu, 0\n");
  CHECK(succeed({"devices", "--format", "csv,noheader", "--query", "index,device", "-i", "0"}).out ==
        "0, cpu\n");
}

TEST_CASE("inspect: a table, JSON, and what does not fit") {
  const TempFolder folder;
  const fs::path run = train_mlp(folder.path(), "t", {"TRAIN.MAX_STEPS", "1"});
  const std::string file = (checkpoint(run) / "model.safetensors").string();
  CHECK_THAT(succeed({"inspect", file}).out,
             ContainsSubstring("layers.0.weight") && ContainsSubstring("85,002 elements"));
  const json j = json::parse(succeed({"inspect", file, "--json"}).out);
  CHECK(j["tensors"].size() == 6);
  CHECK(count(j.dump(), "\"dtype\":\"F32\"") == 6);
  CHECK_THAT(succeed({"inspect", file, "--against", "mlp", "--cfg", mlp}).out, ContainsSubstring("fits mlp"));

  const Outcome misfit = outcome_of(
      {"inspect", file, "--against", "mlp", "--json", "--cfg", mlp, "--opts", "MODEL.NUM_CLASSES", "7"});
  CHECK(misfit.code == static_cast<int>(Exit::weights));
  CHECK(json::parse(misfit.out)["against"]["problems"].size() == 2);
}

TEST_CASE("predict: logits of f32 and u8 images, and features") {
  const TempFolder folder;
  const fs::path run = train_mlp(folder.path(), "t");
  const fs::path f32 = folder / "f32.safetensors", u8 = folder / "u8.safetensors";
  const int64_t n = 70;  // more than one batch
  std::vector<uint8_t> bytes(static_cast<size_t>(n * 64));
  std::vector<float> values(bytes.size());
  for (size_t i = 0; i < bytes.size(); ++i) {
    bytes[i] = static_cast<uint8_t>(i * 37 % 256);
    values[i] = static_cast<float>(bytes[i]) / 255.F;
  }
  using Named = std::pair<std::string, trainer::Tensor>;
  const trainer::Shape shape{n, 1, 8, 8};
  const std::vector<Named> real{
      {"images", trainer::Tensor::of<float>(std::span<const float>(values), shape)}};
  const std::vector<Named> raw{
      {"images", trainer::Tensor::of<uint8_t>(std::span<const uint8_t>(bytes), shape)}};
  trainer::io::write_safetensors(f32, real, {}, Exit::internal);
  trainer::io::write_safetensors(u8, raw, {}, Exit::internal);

  const auto predict = [&](const fs::path& input, const std::string& name, const Words& more = {}) {
    Words words{"predict",
                "--cfg",
                (run / "config.yaml").string(),
                "--weights",
                (checkpoint(run) / "model.safetensors").string(),
                "--input",
                input.string(),
                "--output",
                (folder / name).string()};
    words.insert(words.end(), more.begin(), more.end());
    return words;
  };
  succeed(predict(f32, "a"));
  succeed(predict(u8, "b", {"--features"}));
  const trainer::io::SafetensorsFile a(folder / "a", Exit::data), b(folder / "b", Exit::data);
  CHECK(a.tensors().size() == 1);
  CHECK(a.info("logits").shape == trainer::Shape{n, 10});
  const trainer::Tensor from_f32 = a.tensor("logits"), from_u8 = b.tensor("logits");
  const auto x = from_f32.span<float>(), y = from_u8.span<float>();
  CHECK(std::equal(x.begin(), x.end(), y.begin(), y.end()));
  CHECK(b.info("features.0").shape == trainer::Shape{n, 256});
  CHECK(b.info("features.1").shape == trainer::Shape{n, 256});

  const Outcome wrong = outcome_of(predict(checkpoint(run) / "model.safetensors", "c"));
  CHECK(wrong.code == static_cast<int>(Exit::data));
  CHECK_THAT(wrong.err, ContainsSubstring("'images'"));
  CHECK_FALSE(fs::exists(folder / "c"));
}

TEST_CASE("flag --profile says what each op takes, and training goes on") {
  const TempFolder folder;
  const Outcome result =
      succeed({"--cfg", mlp, "--profile", "--output", folder.path().string(), "--opts", "TRAIN.EPOCHS", "1"});
  CHECK_THAT(result.out, ContainsSubstring("10 steps of "));
  for (const char* op : {"linear_backward_weight ", "adamw_step ", "softmax_cross_entropy ", "(outside ops"})
    CHECK_THAT(result.out, ContainsSubstring(op));
  CHECK_THAT(result.out, ContainsSubstring("linear f32 64x64 256x64 64x256 "));
  CHECK_THAT(result.err, ContainsSubstring("run directory"));
}

TEST_CASE("flag --throughput ends with one line of JSON", "[timing]") {
  for (const Words& mode : {Words{"--throughput"}, Words{"--throughput", "eval"}}) {
    Words words{"--cfg", mlp, "--opts", "THREADS", "1", "MODEL.MLP.HIDDEN", "[8]"};
    words.insert(words.end(), mode.begin(), mode.end());
    const Outcome result = succeed(words);
    const json j = json::parse(result.out.substr(result.out.rfind('\n', result.out.size() - 2) + 1));
    CHECK(j.size() == 3);
    for (const char* key : {"samples_per_s", "step_ms", "peak_bytes"}) CHECK(j.at(key).get<double>() > 0);
    CHECK(j["samples_per_s"].get<double>() * j["step_ms"].get<double>() == Approx(64e3).epsilon(0.05));
  }
}
