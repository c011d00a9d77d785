// Layers, inheritance, errors in bulk, atomicity, provenance.
#include "tests/config/fixture.h"

using namespace trainer;
using namespace trainer::config;
using Layer = Origin::Layer;

TEST_CASE("looking for near names is bounded") {
  Config config = test_config();
  std::vector<std::string> words;
  for (int i = 0; i < 20'000; ++i) words.insert(words.end(), {"T.EPOCH", "1"});
  words.insert(words.end(), {std::string(1'000'000, 'K') + ".EPOCHS", "1"});
  const std::string message = problems_of([&] { merge_words(config, words); });
  CHECK_THAT(message, ContainsSubstring("--opts pair 1: T.EPOCH: unknown key (did you mean T.EPOCHS"));
  CHECK(std::count(message.begin(), message.end(), '\n') == 50);  // and how many more there are
}

TEST_CASE("later layers win, and each value knows where it came from") {
  const Folder folder;
  folder.write("base/common.yaml", "T:\n  EPOCHS: 10\n  NAME: base\n  BASE_LR: 0.1\n");
  const auto file = folder.write("exp.yaml", "BASE: [base/common.yaml]\nT:\n  NAME: file\n  BASE_LR: 0.2\n");
  const std::vector<std::string> opts = {"T.BASE_LR", "0.3", "T.SMALL=7"};
  const std::vector<Flag> flags = {{"--small", "T.SMALL", "8"}};
  Config config = test_config();
  config.merge({.file = file, .opts = opts, .flags = flags});

  CHECK(config.get<int64_t>("T.EPOCHS") == 10);
  CHECK(config.get<std::string>("T.NAME") == "file");
  CHECK(config.get<double>("T.BASE_LR") == 0.3);
  CHECK(config.get<int>("T.SMALL") == 8);
  CHECK(config.get<bool>("T.SHUFFLE"));

  CHECK(config.origin("T.EPOCHS").layer == Layer::base_file);
  CHECK(config.origin("T.EPOCHS").where == (folder / "base/common.yaml").string() + ":2:3");
  CHECK(config.origin("T.NAME").layer == Layer::file);
  CHECK(config.origin("T.NAME").where == file.string() + ":3:3");
  CHECK(config.origin("T.BASE_LR").layer == Layer::opts);
  CHECK(config.origin("T.SMALL").str() == "--small");
  CHECK(config.origin("T.SHUFFLE").str() == "default");

  const Explanation lr = config.explanation("T.BASE_LR");
  CHECK(lr.type == "float");
  CHECK(lr.help == "learning rate");
  CHECK(lr.range == ">= 0 and <= 10");
  CHECK(lr.default_value == Value(5e-4));
  REQUIRE(lr.history.size() == 4);
  CHECK(lr.history[1].value == Value(0.1));
  CHECK(lr.history[3].origin.str() == "--opts pair 1");
  CHECK(config.explanation("T.EPOCHS").unit == "epochs");
  CHECK(config.explanation("T.MODE").choices == std::vector<std::string>{"batch", "pair", "elem"});
  CHECK_THAT(problems_of([&] { config.explanation("T.EPOCH"); }),
             ContainsSubstring("unknown key T.EPOCH (did you mean T.EPOCHS"));
  CHECK_THAT(problems_of([&] { config.explanation("T"); }), ContainsSubstring("unknown key T"));
}

TEST_CASE("BASE is recursive, relative to its file, and leaves the tree") {
  const Folder folder;
  folder.write("deep/er/root.yaml", "T: {EPOCHS: 1, NAME: root}\n");
  folder.write("deep/mid.yaml", "BASE: er/root.yaml\nT: {NAME: mid}\n");
  folder.write("other.yaml", "BASE: ['']\nT: {NAME: other, SMALL: 3}\n");
  Config config = test_config();
  config.merge_file(folder.write("top.yaml", "BASE: ['deep/mid.yaml', other.yaml]\n"));
  CHECK(config.get<int64_t>("T.EPOCHS") == 1);
  CHECK(config.get<std::string>("T.NAME") == "other");
  CHECK(config.group("BASE").value() == Value(Value::List{""}));
  CHECK_THAT(config.dump(), ContainsSubstring("BASE: ['']\n"));

  const Folder& f = folder;
  const auto error = [&](const std::string& text) {
    return problems_of([&] { config.merge_file(f.write("bad.yaml", text)); });
  };
  CHECK(error("T: {}\nBASE: [gone.yaml]\n") == (folder / "bad.yaml").string() + ":2:1: BASE: " +
                                                   (folder / "gone.yaml").string() + " does not exist");
  CHECK_THAT(error("BASE: {A: 1}\n"), ContainsSubstring("BASE: expected files, given a group of keys"));
  CHECK_THAT(error("BASE: [[a]]\n"), ContainsSubstring("BASE: expected files"));
  CHECK_THAT(problems_of([&] {
               merge_words(config, {"BASE", "['x.yaml']"});
             }),
             ContainsSubstring("--opts pair 1: BASE: can only be set in files"));
  merge_words(config, {"BASE", "['']"});
}

TEST_CASE("files that inherit from each other") {
  const Folder folder;
  folder.write("a.yaml", "BASE: [b.yaml]\n");
  folder.write("b.yaml", "BASE: [sub/../a.yaml]\n");
  std::filesystem::create_directory(folder / "sub");
  Config config = test_config();
  CHECK_THAT(
      problems_of([&] { config.merge_file(folder / "a.yaml"); }),
      ContainsSubstring("b.yaml:1:1: BASE: the files inherit from each other: a.yaml -> b.yaml -> a.yaml"));
  CHECK_THAT(problems_of([&] { config.merge_file(folder.write("self.yaml", "BASE: self.yaml\n")); }),
             ContainsSubstring("self.yaml -> self.yaml"));

  // The same base by two ways is no cycle, but doubling at each level has an end.
  folder.write("d0.yaml", "T: {SMALL: 5}\n");
  for (int i = 1; i <= 12; ++i) {
    const std::string base = "d" + std::to_string(i - 1) + ".yaml";
    folder.write("d" + std::to_string(i) + ".yaml", "BASE: [" + base + ", " + base + "]\n");
  }
  config.merge_file(folder / "d2.yaml");
  CHECK(config.get<int>("T.SMALL") == 5);
  CHECK_THAT(problems_of([&] { config.merge_file(folder / "d12.yaml"); }),
             ContainsSubstring("too many files inherit"));
}

TEST_CASE("all problems of all sources come at once, and nothing has changed") {
  const Folder folder;
  const auto file = folder.write("exp.yaml", "T:\n  EPOCHS: many\n  BASELR: 1\n  NAME: set\nDEPTHS: [1]\n");
  const std::vector<std::string> opts = {"T.SHUFFLE", "maybe", "T.NAME", "opts", "T.EPOCHS"};
  const std::vector<Flag> flags = {{"--small", "T.SMALL", "x"}};
  Config config = test_config();
  const Config before = config.clone();
  const std::string message =
      problems_of([&] { config.merge({.file = file, .opts = opts, .flags = flags}); });
  const std::string at = file.string();
  CHECK_THAT(message, ContainsSubstring(at + ":2:3: T.EPOCHS: expected int, given 'many' (str)\n"));
  CHECK_THAT(message, ContainsSubstring(at + ":3:3: T.BASELR: unknown key (did you mean T.BASE_LR?)\n"));
  CHECK_THAT(message, ContainsSubstring(at + ":5:1: DEPTHS: unknown key (did you mean T.DEPTHS"));
  CHECK_THAT(message, ContainsSubstring("--opts pair 1: T.SHUFFLE: expected bool, given 'maybe' (str)\n"));
  CHECK_THAT(message, ContainsSubstring("--opts pair 3: T.EPOCHS: has no value; expected KEY VALUE pairs\n"));
  CHECK_THAT(message, ContainsSubstring("--small: T.SMALL: expected int, given 'x' (str)"));
  CHECK(config == before);
  CHECK(config.origin("T.NAME").layer == Layer::defaults);
}

TEST_CASE("very many problems are counted") {
  const Folder folder;
  std::string text;
  for (int i = 0; i < 20'000; ++i) text += "UNKNOWN_" + std::to_string(i) + ": 1\n";
  Config config = test_config();
  CHECK_THAT(problems_of([&] { config.merge_file(folder.write("a.yaml", text)); }),
             ContainsSubstring("... and 19950 more problems"));
}

TEST_CASE("words after --opts are KEY VALUE or KEY=VALUE") {
  Config config = test_config();
  merge_words(config, {"T.NAME", "-x", "T.BASE_LR=-0", "T.EPOCHS", "1", "T.EPOCHS", "2", "T.MODE=a=b"});
  CHECK(config.get<std::string>("T.NAME") == "-x");
  CHECK(config.get<int64_t>("T.EPOCHS") == 2);
  CHECK(config.get<std::string>("T.MODE") == "a=b");
  merge_words(config, {});
  CHECK_THAT(problems_of([&] { merge_words(config, {"T.NAME"}); }),
             ContainsSubstring("--opts pair 1: T.NAME: has no value"));
  CHECK_THAT(problems_of([&] { merge_words(config, {"=1"}); }), ContainsSubstring("'' is not a key"));
  CHECK_THAT(problems_of([&] {
               merge_words(config, {"T..NAME", "1"});
             }),
             ContainsSubstring("'T..NAME' is not a key"));
  CHECK_THAT(problems_of([&] { merge_words(config, {"T.EPOCHZ=1"}); }),
             ContainsSubstring("T.EPOCHZ: unknown key (did you mean T.EPOCHS"));
  CHECK_THAT(problems_of([&] { merge_words(config, {"", "1"}); }), ContainsSubstring("'' is not a key"));
}

TEST_CASE("a dotted key in a file is refused") {
  const Folder folder;
  Config config = test_config();
  CHECK_THAT(problems_of([&] { config.merge_file(folder.write("a.yaml", "T.EPOCHS: 1\n")); }),
             ContainsSubstring("a.yaml:1:1: T.EPOCHS: dotted keys are for --opts; a file nests them"));
}

TEST_CASE("set() follows the rules of a merge") {
  Config config = test_config();
  config.set("T.BASE_LR", 1, {Layer::flag, "--lr"});
  CHECK(config.group("T.BASE_LR").value() == Value(1.0));
  CHECK(config.origin("T.BASE_LR").str() == "--lr");
  CHECK_THAT(problems_of([&] { config.set("T.EPOCHS", "x"); }),
             ContainsSubstring("code: T.EPOCHS: expected int, given 'x' (str)"));
  CHECK_THAT(problems_of([&] { config.set("T.EPOCH", 1); }),
             ContainsSubstring("unknown key (did you mean T.EPOCHS"));
  CHECK_THAT(problems_of([&] { config.set("T.SCHEDULE", 1); }), ContainsSubstring("is a group of keys"));
}

TEST_CASE("freeze holds for the whole tree and every way in, a clone is as frozen as its source") {
  const Folder folder;
  const auto file = folder.write("a.yaml", "T: {EPOCHS: 1}\n");
  Config config = test_config();
  config.freeze();
  CHECK(config.is_frozen());
  CHECK_THAT(problems_of([&] { config.merge_file(file); }, Exit::internal), ContainsSubstring("frozen"));
  CHECK_THAT(problems_of(
                 [&] {
                   merge_words(config, {"T.EPOCHS", "1"});
                 },
                 Exit::internal),
             ContainsSubstring("frozen"));
  CHECK_THAT(problems_of([&] { config.set("T.EPOCHS", 1); }, Exit::internal), ContainsSubstring("frozen"));
  Config copy = config.clone();
  CHECK(copy.is_frozen());
  copy.defrost();
  copy.merge_file(file);
  CHECK(copy.get<int64_t>("T.EPOCHS") == 1);
  CHECK(config.get<int64_t>("T.EPOCHS") == 300);
  CHECK_FALSE(copy == config);
}

TEST_CASE("deprecated keys are skipped with a notice, renamed ones name their successor") {
  [[maybe_unused]] static const bool once = [] {
    declare_deprecated("T_OLD.GONE");
    declare_deprecated("T_OLD_GROUP");
    declare_renamed("T_OLD.LR", "T.BASE_LR", "it is a float now");
    return true;
  }();
  const Folder folder;
  Config config = test_config();
  config.merge_file(folder.write("a.yaml", "T_OLD: {GONE: 1}\nT_OLD_GROUP: {X: 1}\n"));
  merge_words(config, {"T_OLD.GONE", "x", "T_OLD_GROUP.X", "2"});
  REQUIRE(config.notices().size() == 4);
  CHECK(config.notices()[0] == (folder / "a.yaml").string() + ":1:9: T_OLD.GONE: deprecated key, ignored");
  CHECK(config.notices()[2] == "--opts pair 1: T_OLD.GONE: deprecated key, ignored");
  CHECK(problems_of([&] {
          merge_words(config, {"T_OLD.LR", "x"});
        }) == "--opts pair 1: T_OLD.LR: was renamed to T.BASE_LR: it is a float now");
  CHECK_THAT(problems_of([&] { config.merge_file(folder.write("b.yaml", "T_OLD:\n  LR: 1\n")); }),
             ContainsSubstring("b.yaml:2:3: T_OLD.LR: was renamed to T.BASE_LR"));
  CHECK_THAT(problems_of([&] { declare_renamed("T_OLD.LR", "X"); }, Exit::internal),
             ContainsSubstring("renamed twice"));
  CHECK_THAT(problems_of([&] { declare_deprecated("T_OLD.GONE"); }, Exit::internal),
             ContainsSubstring("deprecated twice"));
}

TEST_CASE("keys may be added where that is allowed, by files and by --opts") {
  [[maybe_unused]] static const bool once = [] {
    declare_new_allowed("T_FREE");
    return true;
  }();
  const Folder folder;
  Config config = test_config();
  config.merge_file(folder.write("a.yaml", "T_FREE: {A: {B: 1e-3}, C: [1, x], D: {}}\n"));
  merge_words(config, {"T_FREE.A.E.F", "10", "T_FREE.A.B", "2"});
  CHECK(config.get<double>("T_FREE.A.B") == 2.0);
  CHECK(config.get<int64_t>("T_FREE.A.E.F") == 10);
  CHECK(config.group("T_FREE.C").value() == Value(Value::List{1, "x"}));
  CHECK(config.group("T_FREE.D").children().empty());
  CHECK_THAT(problems_of([&] {
               merge_words(config, {"T_FREE.A.E.F", "x"});
             }),
             ContainsSubstring("expected int"));
  CHECK_THAT(problems_of([&] { merge_words(config, {"T.NEW", "x"}); }), ContainsSubstring("unknown key"));
  Config again = test_config();
  again.merge_file(folder.write("dump.yaml", config.dump()));
  CHECK(again == config);
}

TEST_CASE("a mistyped or missing group") {
  const Folder folder;
  Config config = test_config();
  CHECK_THAT(
      problems_of([&] { config.merge_file(folder.write("a.yaml", "T: {SCHEDUL: {DECAY_RATE: 1}}\n")); }),
      ContainsSubstring("T.SCHEDUL: unknown key (did you mean T.SCHEDULE?)"));
  CHECK_THAT(problems_of([&] {
               merge_words(config, {"DECAY_RATE", "1"});
             }),
             ContainsSubstring("T.SCHEDULE.DECAY_RATE"));
}
