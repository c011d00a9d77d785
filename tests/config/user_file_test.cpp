// The file with the user's own defaults: which keys it may set, and where it stands among the layers.
#include "tests/config/fixture.h"

using namespace trainer;
using namespace trainer::config;
using Layer = Origin::Layer;

namespace {

Config config_with_paths() {
  struct Paths {
    std::string output, data;
    int64_t freq = 10;
    void fields(Fields& f) {
      f.user_default("OUTPUT", output, "where");
      f.user_default("DATA.PATH", data, "what");
      f.user_default("FREQ", freq, "how often", {.min = 1});
    }
  };
  declare("T_USER", Paths{});
  return test_config();
}

}  // namespace

TEST_CASE("the user's file is between defaults and all other files") {
  const Folder folder;
  folder.write("base.yaml", "T_USER: {FREQ: 3}\n");
  const auto user = folder.write("user.yaml", "T_USER:\n  OUTPUT: /runs\n  DATA: {PATH: /data}\n  FREQ: 2\n");
  const auto file = folder.write("exp.yaml", "BASE: base.yaml\nT: {EPOCHS: 3}\n");
  const std::vector<std::string> opts{"T_USER.DATA.PATH", "/other"};
  Config config = config_with_paths();
  config.merge({.user_file = user, .file = file, .opts = opts});
  CHECK(config.get<std::string>("T_USER.OUTPUT") == "/runs");
  CHECK(config.get<std::string>("T_USER.DATA.PATH") == "/other");
  CHECK(config.get<int64_t>("T_USER.FREQ") == 3);
  const Explanation e = config.explanation("T_USER.FREQ");
  CHECK(e.user_default);
  REQUIRE(e.history.size() == 3);
  CHECK(e.history[1].origin.layer == Layer::user_file);
  CHECK(e.history[1].origin.str() == user.string() + ":4:3");
  CHECK(e.history[2].origin.layer == Layer::base_file);
  CHECK_FALSE(config.explanation("T.EPOCHS").user_default);
  // What it sets is not meant for this run in particular.
  CHECK(config.unread() == std::vector<std::string>{"T.EPOCHS"});

  // A dump says all: with it the user's file does not matter.
  Config again = config_with_paths();
  const auto other = folder.write("other.yaml", "T_USER: {OUTPUT: /elsewhere, FREQ: 7}\n");
  again.merge({.user_file = other, .file = folder.write("dump.yaml", config.dump())});
  CHECK(again == config);
}

TEST_CASE("the user's file may set no other key") {
  [[maybe_unused]] static const bool once = [] {
    declare_new_allowed("ZZFREEDOM");
    return true;
  }();
  const Folder folder;
  Config config = config_with_paths();
  const Config before = config.clone();
  const auto file =
      folder.write("user.yaml",
                   "BASE: x.yaml\nT:\n  EPOCHS: 3\n  LIMT: x\n  SCHEDULE: {DECAY_RATE: 1}\nT_USER: "
                   "{FREQ: often}\nZZFREEDOM: {ZZFIRSTTT: 1, ZZSECONDD: {ZZC: 2}}\nZZNOTHING: x\n");
  const std::string at = file.string();
  const std::string why =
      ": results may depend on it, and a file for all of your runs must not change them; set it with --cfg "
      "or --opts "
      "(this file may set DATA.DATA_PATH, OUTPUT, PRINT_FREQ, T_USER.DATA.PATH, T_USER.FREQ, "
      "T_USER.OUTPUT)\n";
  const std::string message = problems_of([&] { config.merge({.user_file = file}); });
  CHECK(message == at + ":1:1: BASE" + why + at + ":3:3: T.EPOCHS" + why + at +
                       ":4:3: T.LIMT: unknown key (did you mean T.LIMIT?)\n" + at +
                       ":5:14: T.SCHEDULE.DECAY_RATE" + why + at +
                       ":6:10: T_USER.FREQ: expected int, given 'often' (str)\n" + at +
                       ":7:13: ZZFREEDOM.ZZFIRSTTT: unknown key\n" + at +
                       ":7:27: ZZFREEDOM.ZZSECONDD: unknown key\n" + at + ":8:1: ZZNOTHING: unknown key");
  CHECK(config == before);
  CHECK_THAT(problems_of([&] { config.merge({.user_file = folder / "gone.yaml"}); }),
             ContainsSubstring("gone.yaml: cannot be read: No such file"));
  CHECK_THAT(problems_of([&] { config.merge({.user_file = folder.path()}); }),
             ContainsSubstring("is a directory"));
  CHECK_THAT(problems_of([&] { config.merge({.user_file = folder.write("b.yaml", "T_USER: [\n")}); }),
             ContainsSubstring("b.yaml:"));
}

TEST_CASE("whether the user's file may set a key is the same for all that declare it") {
  struct Mine {
    std::string path;
    void fields(Fields& f) { f("OUTPUT", path, "where"); }
  };
  config_with_paths();
  CHECK_THAT(problems_of([] { declare("T_USER", Mine{}); }, Exit::internal),
             ContainsSubstring(
                 "T_USER.OUTPUT is declared for the user's own file by one component and not by another"));
}

TEST_CASE("values out of range are among the problems of a merge, in the order of layers and lines") {
  const Folder folder;
  const auto user = folder.write("user.yaml", "T_USER: {FREQ: 0}\n");
  folder.write("base.yaml", "T: {SMALL: x}\n");
  const auto file = folder.write(
      "exp.yaml", "BASE: base.yaml\nT:\n  EPOCHS: 0\n  MODE: bath\n  BASELR: 1\n  BETAS: [0.9]\n");
  const std::vector<std::string> opts{"T.BASE_LR", "11", "T.SHUFFLE", "maybe", "T.LIMT", "x"};
  const std::vector<Flag> flags{{"--limit", "T.LIMIT", "y"}, {"--threads", "T.THREADS", "0"}};
  Config config = config_with_paths();
  const std::string at = file.string();
  CHECK(problems_of([&] { config.merge({.user_file = user, .file = file, .opts = opts, .flags = flags}); }) ==
        user.string() + ":1:10: T_USER.FREQ: expected int >= 1, given 0 (int)\n" +
            (folder / "base.yaml").string() + ":1:5: T.SMALL: expected int, given 'x' (str)\n" + at +
            ":3:3: T.EPOCHS: expected int >= 1, given 0 (int)\n" + at +
            ":4:3: T.MODE: expected one of batch, pair, elem, given 'bath' (str) (did you mean batch?)\n" +
            at + ":5:3: T.BASELR: unknown key (did you mean T.BASE_LR?)\n" + at +
            ":6:3: T.BETAS: expected list of float >= 0 and < 1, 2 elements, given [0.9] (list)\n"
            "--opts pair 1: T.BASE_LR: expected float >= 0 and <= 10, given 11.0 (float)\n"
            "--opts pair 2: T.SHUFFLE: expected bool, given 'maybe' (str)\n"
            "--opts pair 3: T.LIMT: unknown key (did you mean T.LIMIT?)\n"
            "--limit: T.LIMIT: expected float, given 'y' (str)\n"
            "--threads: T.THREADS: expected int or auto >= 1, given 0 (int)");
}
