// Declaring and binding structs.
#include "tests/config/fixture.h"

using namespace trainer;
using namespace trainer::config;

namespace {

template <class T>
struct One {  // a struct with one key
  std::string key;
  T value;
  void fields(Fields& f) { f(key, value, "help"); }
};
template <class T>
void declare_one(const std::string& key, T value) {
  declare("T_ONE", One<T>{key, value});
}

}  // namespace

TEST_CASE("binding fills a struct with the merged values and leaves the rest alone") {
  Config config = test_config();
  merge_words(config,
              {"T.EPOCHS", "3", "T.BETAS", "0.5,0.75", "T.SCALE", "2", "T.THREADS", "4", "T.PLUGINS", "['a']",
               "T.SCHEDULE.DECAY_RATE", "0.5", "T.LIMIT", "inf", "T.MODE", "elem", "T.SMALL", "-7"});
  const auto bound = bind<TestKeys>(config.group("T"));
  CHECK(bound.epochs == 3);
  CHECK(bound.small == -7);
  CHECK(bound.betas == std::vector<double>{0.5, 0.75});
  CHECK(bound.depths == std::vector<int64_t>{2, 2, 6, 2});
  CHECK(bound.scale == 2.0);
  CHECK(bound.threads == 4);
  CHECK(bound.plugins == std::vector<std::string>{"a"});
  CHECK(bound.nested_rate == 0.5);
  CHECK(bound.limit == HUGE_VAL);
  CHECK(bound.mode == "elem");
  CHECK(bound.base_lr == 5e-4);

  merge_words(config, {"T.SCALE", "None", "T.THREADS", "auto"});
  const auto without = bind<TestKeys>(config.group("T"), bound);
  CHECK_FALSE(without.scale);
  CHECK_FALSE(without.threads);
}

TEST_CASE("all bad values of a struct come at once, with key, origin and expectation") {
  const Folder folder;
  Config config = test_config();
  config.merge_file(
      folder.write("a.yaml", "T:\n  EPOCHS: 0\n  MODE: bath\n  DEPTHS: [1, x]\n  BETAS: [0.9]\n"));
  merge_words(config, {"T.BASE_LR", "11", "T.NAME", "None", "T.THREADS", "0", "T.SMALL", "3000000000",
                       "T.SCHEDULE.DECAY_RATE", "0"});
  const std::string message = problems_of([&] { bind<TestKeys>(config.group("T")); });
  const std::string file = (folder / "a.yaml").string();
  CHECK(message ==
        file + ":2:3: T.EPOCHS: expected int >= 1, given 0 (int)\n" + file +
            ":3:3: T.MODE: expected one of batch, pair, elem, given 'bath' (str) (did you mean batch?)\n" +
            file + ":4:3: T.DEPTHS: expected list of int >= 1, given [1, 'x'] (list)\n" + file +
            ":5:3: T.BETAS: expected list of float >= 0 and < 1, 2 elements, given [0.9] (list)\n" +
            "--opts pair 1: T.BASE_LR: expected float >= 0 and <= 10, given 11.0 (float)\n" +
            "--opts pair 2: T.NAME: expected str, given None\n" +
            "--opts pair 3: T.THREADS: expected int or auto >= 1, given 0 (int)\n" +
            "--opts pair 4: T.SMALL: expected int within 32 bits, given 3000000000 (int)\n" +
            "--opts pair 5: T.SCHEDULE.DECAY_RATE: expected float > 0, given 0.0 (float)");
}

TEST_CASE("bounds hold for each element") {
  Config config = test_config();
  merge_words(config, {"T.BETAS", "[0.9, 1.0]"});
  CHECK_THAT(problems_of([&] { bind<TestKeys>(config.group("T")); }),
             ContainsSubstring("T.BETAS: expected list of float >= 0 and < 1"));
}

TEST_CASE("a known key whose feature is missing accepts its default only") {
  struct Pending {
    void fields(Fields& f) { f.unsupported("FEATURE", false, "not built"); }
  };
  declare("T_PENDING", Pending{});
  Config config = Config::defaults();
  merge_words(config, {"T_PENDING.FEATURE", "False"});
  bind<Pending>(config.group("T_PENDING"));
  merge_words(config, {"T_PENDING.FEATURE", "True"});
  CHECK(problems_of([&] { bind<Pending>(config.group("T_PENDING")); }) ==
        "--opts pair 1: T_PENDING.FEATURE: known but not implemented yet; only the default False is "
        "accepted, given "
        "True (bool)");
  CHECK(config.explanation("T_PENDING.FEATURE").unsupported);
}

TEST_CASE("a key may be declared by several readers if they agree") {
  declare_one("LR", 0.1);
  declare_one("LR", 0.1);
  CHECK_THAT(problems_of([] { declare_one("LR", 0.2); }, Exit::internal),
             ContainsSubstring("T_ONE.LR is declared with the defaults 0.1 and 0.2"));
  CHECK_THAT(problems_of([] { declare_one("LR", std::string("0.1")); }, Exit::internal),
             ContainsSubstring("T_ONE.LR is declared as float and as str"));
  CHECK_THAT(problems_of([] { declare_one("LR.X", 1); }, Exit::internal),
             ContainsSubstring("below the leaf T_ONE.LR"));
  declare_one("GROUP.X", 1);
  CHECK_THAT(problems_of([] { declare_one("GROUP", 1); }, Exit::internal),
             ContainsSubstring("as a leaf and as the group of T_ONE.GROUP.X"));
  CHECK_THAT(problems_of([] { declare_one("", 1); }, Exit::internal),
             ContainsSubstring("not a configuration key"));
}

TEST_CASE("whoever reads a key wins over a table of missing features") {
  struct Pending {
    void fields(Fields& f) { f.unsupported("MINMAX", {}, "not built"); }
  };
  struct Reader {
    std::optional<std::vector<double>> minmax;
    void fields(Fields& f) { f("MINMAX", minmax, "sizes"); }
  };
  declare("T_TABLE", Pending{});
  declare("T_TABLE", Reader{});
  declare("T_TABLE", Pending{});
  Config config = Config::defaults();
  CHECK_FALSE(config.explanation("T_TABLE.MINMAX").unsupported);
  merge_words(config, {"T_TABLE.MINMAX", "1,2"});
  CHECK(bind<Reader>(config.group("T_TABLE")).minmax == std::vector<double>{1, 2});
}

TEST_CASE("a key of several readers means what each of them says, once") {
  struct Reader {
    std::string help;
    void fields(Fields& f) { f("EPS", value, help); }
    double value = 1;
  };
  for (const char* help : {"a: added to the root", "b: the same", "b: the same", "a: added to the root"})
    declare("T_SHARED", Reader{help});
  CHECK(Config::defaults().explanation("T_SHARED.EPS").help == "a: added to the root; b: the same");
}

TEST_CASE("a key that nobody declared is the program's mistake") {
  const Config config = test_config();
  CHECK_THAT(problems_of(
                 [&] {
                   bind<One<int>>(config.group("T"), {"NOT_DECLARED", 1});
                 },
                 Exit::internal),
             ContainsSubstring("no component declared the configuration key T.NOT_DECLARED"));
  CHECK_THAT(problems_of([&] { config.group("T.NOPE"); }, Exit::internal), ContainsSubstring("T.NOPE"));
}

TEST_CASE("keys that were set and that nothing read") {
  Config config = test_config();
  merge_words(config, {"T.EPOCHS", "3", "T.SMALL", "2", "T.NAME", "model"});
  CHECK(config.unread() == std::vector<std::string>{"T.EPOCHS", "T.SMALL"});
  config.get<int>("T.SMALL");
  CHECK(config.unread() == std::vector<std::string>{"T.EPOCHS"});
  bind<TestKeys>(config.group("T"));
  CHECK(config.unread().empty());
}

TEST_CASE("get is strict about types") {
  Config config = test_config();
  merge_words(config, {"T.NAME", "None", "T.SMALL", "3000000000"});
  CHECK_THAT(problems_of([&] { config.get<std::string>("T.NAME"); }),
             ContainsSubstring("--opts pair 1: T.NAME: expected str, given None"));
  CHECK_THAT(problems_of([&] { config.get<int>("T.SMALL"); }),
             ContainsSubstring("T.SMALL: expected int, given 3000000000"));
  CHECK_FALSE(config.get<std::optional<double>>("T.SCALE"));
  CHECK(config.get<std::vector<double>>("T.BETAS") == std::vector<double>{0.9, 0.999});
}
