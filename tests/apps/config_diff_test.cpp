// trainer config: differences of two configurations, names of keys.
#include "tests/apps/program.h"

using namespace program;

namespace {

struct Files {
  TempFolder folder;
  std::string write(const std::string& name, const std::string& text) const {
    std::ofstream(folder / name) << text;
    return (folder / name).string();
  }
};

}  // namespace

TEST_CASE("config diff: a line for each key that differs, with both values and where they were set") {
  const Files files;
  files.write("base.yaml", "TRAIN:\n  EPOCHS: 7\n  BASE_LR: 0.1\nTAG: both\n");
  const std::string a =
      files.write("a.yaml", "BASE: [base.yaml]\nDATA:\n  BATCH_SIZE: 32\nMODEL:\n  NAME: mlp\n");
  const std::string b = files.write(
      "b.yaml", "TAG: both\nTRAIN:\n  BASE_LR: 0.1\nDATA:\n  BATCH_SIZE: 64\nMODEL:\n  NAME: mlp\n");
  const Outcome result = outcome_of({"config", "diff", a, b});
  CHECK(result.code == 1);
  CHECK(result.err.empty());
  const std::string base = (files.folder / "base.yaml").string();
  CHECK(result.out == "DATA.BATCH_SIZE: 32 (" + a + ":3:3) -> 64 (" + b + ":5:3)\nTRAIN.EPOCHS: 7 (" + base +
                          ":2:3) -> 300 (default)\n");

  const Outcome as_json = outcome_of({"config", "diff", "--json", a, b});
  CHECK(as_json.code == 1);
  const json j = json::parse(as_json.out);
  CHECK(j["a"] == a);
  CHECK(j["b"] == b);
  REQUIRE(j["differences"].size() == 2);
  CHECK(j["differences"][0] == json{{"key", "DATA.BATCH_SIZE"},
                                    {"a", {{"value", 32}, {"set_by", a + ":3:3"}}},
                                    {"b", {{"value", 64}, {"set_by", b + ":5:3"}}}});
  CHECK(j["differences"][1]["b"] == json{{"value", 300}, {"set_by", "default"}});
}

TEST_CASE("config diff: equal configurations, however they are written, are nothing and exit code 0") {
  const Files files;
  files.write("base.yaml", "TRAIN:\n  EPOCHS: 7\n");
  const std::string a = files.write("a.yaml", "BASE: [base.yaml]\n");
  const std::string b =
      files.write("b.yaml", "TRAIN: {EPOCHS: 7, BASE_LR: 5.0e-4}\n");  // the rate is the default
  const Outcome result = outcome_of({"config", "diff", a, b});
  CHECK(result.code == 0);
  CHECK(result.out.empty());
  const json j = json::parse(succeed({"config", "diff", a, a, "--json"}).out);
  CHECK(j["differences"] == json::array());
}

TEST_CASE("config diff: a run directory is its config.yaml") {
  const Files files;
  const fs::path run = files.folder / "run";
  fs::create_directory(run);
  std::ofstream(run / "config.yaml") << "AMP_ENABLE: false\nTAG: 'x: y'\nMODEL:\n  WEIGHTS_DIR: ''\n";
  const std::string b = files.write("b.yaml", "TAG: z\n");
  const Outcome result = outcome_of({"config", "diff", run.string(), b});
  CHECK(result.code == 1);
  const std::string file = (run / "config.yaml").string();
  CHECK(result.out == "AMP_ENABLE: False (" + file + ":1:1) -> True (default)\nTAG: 'x: y' (" + file +
                          ":2:1) -> 'z' (" + b + ":1:1)\n");
}

TEST_CASE("config diff: whatever goes wrong is exit code 2, and nothing on stdout") {
  const Files files;
  const std::string good = files.write("good.yaml", "TAG: x\n"), bad = files.write("bad.yaml", "TAGG: x\n");
  CHECK_THAT(message_of(Exit::usage, {"config", "diff", good, bad}),
             ContainsSubstring("bad.yaml:1:1") && ContainsSubstring("did you mean TAG"));
  message_of(Exit::usage, {"config", "diff", (files.folder / "none.yaml").string(), good});
  message_of(Exit::usage, {"config", "diff", good});
  CHECK_THAT(message_of(Exit::usage, {"config", "diff", good, files.folder.path().string()}),
             ContainsSubstring("without config.yaml"));
}

TEST_CASE("config keys --names: one name a line") {
  CHECK(succeed({"config", "keys", "--names", "AMP.*"}).out == "AMP.DTYPE\n");
  CHECK_THAT(succeed({"config", "keys", "--names"}).out, ContainsSubstring("\nTRAIN.OPTIMIZER.NAME\n"));
}
