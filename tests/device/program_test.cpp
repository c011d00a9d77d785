// The program on a device, from outside: it finds a backend beside its library, or says why there is none.
#include "tests/apps/program.h"
#include "tests/device/fake_cuda.h"

using namespace program;

namespace {

const std::string cnn = TESTS_DIR "/../configs/digits/cnn.yaml";

Outcome outcome_at(const fs::path& trainer, Words words) {
  words.insert(words.begin(), trainer.string());
  return Process(words).wait(120);
}

std::string succeed_at(const fs::path& trainer, const Words& words) {
  const Outcome result = outcome_at(trainer, words);
  INFO(result.err);
  REQUIRE(result.code == 0);
  return result.out;
}

Words with(Words words, const Words& more) {
  words.insert(words.end(), more.begin(), more.end());
  return words;
}

Words cnn_words(const fs::path& output, const std::string& tag, const Words& opts) {
  return with({"--cfg", cnn, "--output", output.string(), "--tag", tag, "--opts", "MODEL.CNN.WIDTHS",
               "[8, 12, 16]", "PRINT_FREQ", "1", "DATA.BATCH_SIZE", "16", "THREADS", "1"},
              opts);
}

}  // namespace

TEST_CASE("a run on a device, from outside: train, go on, evaluate, predict") {
  const TempFolder folder;
  const fs::path trainer = trainer::fake::install(folder / "program");
  const fs::path output = folder / "output";
  for (const std::string device : {"ref", "cuda:0"}) {
    succeed_at(trainer, cnn_words(output, device, {"DEVICE", device, "TRAIN.MAX_STEPS", "3"}));
    succeed_at(trainer, cnn_words(output, device, {"DEVICE", device, "TRAIN.MAX_STEPS", "5"}));
  }
  const fs::path got = output / "cnn" / "cuda:0", expected = output / "cnn" / "ref";
  CHECK_THAT(text_of(got / "derived.yaml"), ContainsSubstring("device: cuda:0"));
  CHECK(losses(got).size() == 5);
  CHECK(losses(got) == losses(expected));
  CHECK(metrics(got, "eval") == metrics(expected, "eval"));
  CHECK((weights(got) == weights(expected)));

  const json evaluated =
      json::parse(succeed_at(trainer, cnn_words(output, "cuda:0", {"DEVICE", "cuda:1", "--eval"})));
  CHECK(evaluated.at("loss") == metrics(expected, "eval").back().at("loss"));

  write_images(folder / "x.safetensors", 3);
  for (const std::string device : {"ref", "cuda:0"}) {
    succeed_at(trainer, {"predict", "--cfg", cnn, "--weights", expected.string(), "--input",
                         (folder / "x.safetensors").string(), "--output", (folder / device).string(),
                         "--features", "--opts", "DEVICE", device, "MODEL.CNN.WIDTHS", "[8, 12, 16]"});
  }
  CHECK((text_of(folder / "cuda:0") == text_of(folder / "ref")));
}

TEST_CASE("what else works on a device") {
  const TempFolder folder;
  const fs::path trainer = trainer::fake::install(folder / "program");
  CHECK_THAT(succeed_at(trainer, {"--version"}), ContainsSubstring("devices: cpu, ref, cuda\n"));
  CHECK(succeed_at(trainer, {"devices", "--query", "index,device,cores,name", "--format", "csv,noheader",
                             "-i", "2"}) == "2, cuda:1, , fake\n");
  CHECK(json::parse(succeed_at(trainer, {"devices", "--format", "json"})).size() == 3);
  CHECK_THAT(succeed_at(trainer, {"--cfg", cnn, "--dry-run"}), ContainsSubstring("device cuda:0"));
}

TEST_CASE("throughput on a device", "[timing]") {
  const TempFolder folder;
  const fs::path trainer = trainer::fake::install(folder / "program");
  for (const std::string what : {"train", "eval"}) {
    const json last = json::parse(succeed_at(trainer, {"--cfg", cnn, "--throughput", what, "--opts", "DEVICE",
                                                       "cuda:0", "MODEL.CNN.WIDTHS", "[4]"}));
    CHECK(last.at("samples_per_s") > 0);
    CHECK(last.at("peak_bytes") > 64 * 8 * 8 * 4);
    CHECK(last.at("peak_bytes") < 32 << 20);  // the device's, not the process'
  }
}

TEST_CASE("DEVICE without a backend says why, and auto is the CPU") {
  const TempFolder folder;
  const fs::path output = folder / "output";
  const Words run{"--cfg",   cnn, "--output", output.string(), "--opts", "TRAIN.MAX_STEPS", "1",
                  "THREADS", "1", "TAG"};
  const auto refused = [&](const fs::path& trainer) {
    const Outcome result = outcome_at(trainer, with(run, {"refused", "DEVICE", "cuda:1"}));
    CHECK(result.code == 2);
    CHECK(result.out.empty());
    CHECK(result.err.starts_with("error: device 'cuda' is not available: "));
    CHECK(std::ranges::count(result.err, '\n') == 1);
    CHECK_FALSE(fs::exists(output));
    return result.err;
  };
  std::ofstream(folder / "text") << "no library\n";
  const fs::path none = trainer::fake::install(folder / "none", "");
  const fs::path text = trainer::fake::install(folder / "broken", folder / "text");
  const fs::path other = trainer::fake::install(folder / "other", BINARY_DIR "/lib/libfaults.so");
  CHECK_THAT(refused(none),
             ContainsSubstring((folder / "none/lib/libtrainer_cuda.so").string() + " is not there"));
  CHECK_THAT(refused(text), ContainsSubstring("cannot be loaded: ") && ContainsSubstring("file too short"));
  CHECK_THAT(refused(other), ContainsSubstring("libtrainer_cuda.so has no backend for it"));
  CHECK_THAT(succeed_at(none, {"--version"}), ContainsSubstring("devices: cpu, ref\n"));

  for (const fs::path& trainer : {none, text}) {
    const std::string tag = trainer.parent_path().parent_path().filename().string();
    const Outcome result = outcome_at(trainer, with(run, {tag, "DEVICE", "auto"}));
    CHECK(result.code == 0);
    CHECK_FALSE(result.err.find("cuda") != std::string::npos);
    CHECK_THAT(text_of(output / "cnn" / tag / "derived.yaml"), ContainsSubstring("device: cpu"));
  }
}
