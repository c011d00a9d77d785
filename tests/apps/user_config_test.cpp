// The file with the user's own defaults, as a user of the program meets it.
#include "tests/apps/program.h"

using namespace program;

namespace {

/// A home with the file, in it or in XDG_CONFIG_HOME, and programs started there.
class Home {
 public:
  explicit Home(const std::string& text, bool in_xdg = true) : xdg_(in_xdg) {
    const fs::path folder = in_xdg ? folder_ / "xdg/trainer" : folder_ / ".config/trainer";
    fs::create_directories(folder);
    file_ = folder / "config.yaml";
    if (!text.empty()) std::ofstream(file_) << text;
  }
  std::string file() const { return file_.string(); }
  fs::path operator/(const std::string& name) const { return folder_ / name; }

  Outcome run(const Words& words) const {
    return Process(command(words), {"XDG_CONFIG_HOME=" + (xdg_ ? (folder_ / "xdg").string() : std::string()),
                                    "HOME=" + folder_.path().string()})
        .wait();
  }
  Outcome succeed(const Words& words) const {
    const Outcome result = run(words);
    INFO(result.err);
    REQUIRE(result.code == 0);
    return result;
  }
  std::string refused(const Words& words) const {
    const Outcome result = run(words);
    CHECK(result.code == 2);
    CHECK(result.out.empty());
    return result.err;
  }

 private:
  TempFolder folder_;
  fs::path file_;
  bool xdg_;
};

}  // namespace

TEST_CASE("your own defaults: $XDG_CONFIG_HOME, else ~/.config, below --cfg, --opts and flags") {
  for (const bool in_xdg : {true, false}) {
    const Home home("OUTPUT: /runs\nPRINT_FREQ: 7\nDATA:\n  DATA_PATH: /data\n", in_xdg);
    const std::string dump = home.succeed({"--dump-config"}).out;
    CHECK_THAT(dump, ContainsSubstring("OUTPUT: /runs\n") && ContainsSubstring("PRINT_FREQ: 7\n") &&
                         ContainsSubstring("DATA_PATH: /data\n"));
    CHECK(home.succeed({"--dump-config", "--no-user-config"}).out == succeed({"--dump-config"}).out);
    CHECK_THAT(home.succeed({"--dump-config", "--output", "mine", "--opts", "PRINT_FREQ", "3"}).out,
               ContainsSubstring("OUTPUT: mine\n") && ContainsSubstring("PRINT_FREQ: 3\n"));
    const std::string text = home.succeed({"--explain", "PRINT_FREQ", "--opts", "PRINT_FREQ", "3"}).out;
    CHECK_THAT(text,
               ContainsSubstring("PRINT_FREQ = 3\n") &&
                   ContainsSubstring("can be set in your own defaults, ~/.config/trainer/config.yaml") &&
                   ContainsSubstring("default: 10\n") &&
                   ContainsSubstring("your own defaults, " + home.file() + ":2:1: 7\n") &&
                   ContainsSubstring("--opts pair 1: 3\n"));
    CHECK_THAT(home.succeed({"--explain", "SEED"}).out, !ContainsSubstring("your own defaults"));
  }
}

TEST_CASE("your own defaults: what may not be there, or cannot be read") {
  const Home home("OUTPUT: /runs\nDATA:\n  BATCH_SIZE: 3\nOUTPT: x\n");
  CHECK(home.refused({"--cfg", mlp, "--opts", "SEED", "x", "--frobnicate"}) ==
        "error: " + home.file() +
            ":3:3: DATA.BATCH_SIZE: results may depend on it, and a file for all of your runs must not "
            "change them; set "
            "it with --cfg or --opts (this file may set DATA.DATA_PATH, OUTPUT, PRINT_FREQ)\n" +
            home.file() +
            ":4:1: OUTPT: unknown key (did you mean OUTPUT?)\n"
            "--opts pair 1: SEED: expected int, given 'x' (str)\n"
            "unknown argument --frobnicate (see trainer --help)\n");
  CHECK(home.run({"--dump-config", "--no_user_config"}).code == 0);
  CHECK(home.run({"config", "diff", mlp, mlp}).code == 0);

  CHECK_THAT(Home("OUTPUT: [\n").refused({"--dump-config"}), ContainsSubstring("config.yaml:"));
  const Home folder("");
  CHECK(folder.succeed({"--dump-config"}).out == succeed({"--dump-config"}).out);  // there is none
  fs::create_directory(folder.file());
  CHECK_THAT(folder.refused({"--dump-config"}),
             ContainsSubstring(folder.file() + ": is a directory, not a file"));
  CHECK_THAT(Home("PRINT_FREQ: 0\n").refused({"--cfg", mlp, "--dry-run"}),
             ContainsSubstring("config.yaml:1:1: PRINT_FREQ: expected int >= 1, given 0"));
}

TEST_CASE("your own defaults are in the config.yaml of a run, which is the same run without them") {
  const Home home("PRINT_FREQ: 1\nDATA: {DATA_PATH: /nowhere}\nOUTPUT: runs\n");
  const fs::path here = home / "here", there = home / "there";
  Words words = mlp_words(here, "a", {"TRAIN.MAX_STEPS", "3"});
  const Outcome result = home.succeed(words);
  CHECK_THAT(result.err, !ContainsSubstring("DATA.DATA_PATH was set"));  // not for this run in particular
  const std::string config = text_of(here / "mlp/a/config.yaml");
  CHECK_THAT(config, ContainsSubstring("PRINT_FREQ: 1\n") && ContainsSubstring("DATA_PATH: /nowhere\n"));

  const Home other("PRINT_FREQ: 5\nOUTPUT: elsewhere\n");
  other.succeed({"--cfg", (here / "mlp/a/config.yaml").string(), "--output", there.string()});
  CHECK(losses(there / "mlp/a") == losses(here / "mlp/a"));
  CHECK(weights(there / "mlp/a") == weights(here / "mlp/a"));
  std::string again = text_of(there / "mlp/a/config.yaml");
  const size_t at = again.find("OUTPUT: " + there.string());
  REQUIRE(at != again.npos);
  again.replace(at, 8 + there.string().size(), "OUTPUT: " + here.string());
  CHECK(again == config);
}

TEST_CASE("no variable of the environment changes a result") {
  const TempFolder folder;
  const auto run = [&](const std::string& tag, const Words& environment) {
    const Outcome result =
        Process(command(mlp_words(folder.path(), tag, {"TRAIN.MAX_STEPS", "3"})), environment).wait();
    INFO(result.err);
    REQUIRE(result.code == 0);
    return weights(folder / "mlp" / tag);
  };
  const std::string before = run("plain", {});
  CHECK(run("all", {"ONEDNN_DEFAULT_FPMATH_MODE=BF16", "DNNL_DEFAULT_FPMATH_MODE=BF16", "OMP_NUM_THREADS=2",
                    "OMP_DYNAMIC=true", "OMP_SCHEDULE=dynamic,1", "GOMP_SPINCOUNT=0", "LC_ALL=de_DE.UTF-8",
                    "LANG=de_DE", "TZ=Asia/Tokyo", "COLUMNS=20", "NO_COLOR=1", "TERM=dumb", "PET_NNODES=3",
                    "PRINT_FREQ=3", "SEED=4", "TRAINER_SEED=4", "CUDA_VISIBLE_DEVICES=7",
                    "GLOO_SOCKET_IFNAME=lo"}) == before);
}
