// The rules by which a value replaces another: what yacs accepts means the same, and more is accepted.
#include "tests/config/fixture.h"

using namespace trainer;
using namespace trainer::config;
using List = Value::List;

TEST_CASE("strings go through Python's literals, from YAML too") {
  CHECK(from_yaml("BASE_LR", "1e-8") == Value(1e-8));
  CHECK(from_yaml("BASE_LR", "'1e-8'") == Value(1e-8));
  CHECK(from_opts("BASE_LR", "2e-05") == Value(2e-05));
  CHECK(from_yaml("SCALE", "None") == Value());
  CHECK(from_yaml("DEPTHS", "'[1, 2]'") == Value(List{1, 2}));
}

TEST_CASE("numbers in other bases, with underscores and spaces") {
  CHECK(from_opts("EPOCHS", "0x10") == Value(16));
  CHECK(from_opts("EPOCHS", " 1_000 ") == Value(1000));
  CHECK(from_yaml("EPOCHS", "010") == Value(8));
  CHECK(from_yaml("EPOCHS", "0o10") == Value(8));
  CHECK_THAT(opts_error("EPOCHS", "010"), ContainsSubstring("T.EPOCHS: expected int, given '010' (str)"));
}

TEST_CASE("an int becomes a float where nothing is lost, nothing else converts") {
  CHECK(from_opts("BASE_LR", "1") == Value(1.0));
  CHECK(from_yaml("BASE_LR", "1.") == Value(1.0));
  CHECK_THAT(opts_error("BASE_LR", "9007199254740993"), ContainsSubstring("expected float"));
  CHECK_THAT(opts_error("EPOCHS", "1.0"), ContainsSubstring("expected int, given 1.0 (float)"));
  CHECK_THAT(opts_error("EPOCHS", "True"), ContainsSubstring("expected int, given True (bool)"));
  CHECK_THAT(opts_error("SHUFFLE", "1"), ContainsSubstring("expected bool, given 1 (int)"));
  CHECK_THAT(yaml_error("BASE_LR", "true"), ContainsSubstring("expected float, given True (bool)"));
  CHECK_THAT(opts_error("EPOCHS", "99999999999999999999"), ContainsSubstring("an integer beyond 64 bits"));
}

TEST_CASE("booleans have YAML's words everywhere") {
  for (const char* text : {"True", "true", "yes", "on", "Yes", "ON"})
    CHECK(from_opts("SHUFFLE", text) == Value(true));
  for (const char* text : {"False", "false", "no", "off"}) {
    CHECK(from_opts("SHUFFLE", text) == Value(false));
    CHECK(from_yaml("SHUFFLE", text) == Value(false));
  }
  CHECK_THAT(opts_error("SHUFFLE", "maybe"),
             ContainsSubstring("--opts pair 1: T.SHUFFLE: expected bool, given 'maybe' (str)"));
}

TEST_CASE("a str key takes text as it stands") {
  CHECK(from_opts("NAME", "10") == Value("10"));
  CHECK(from_opts("NAME", "1e-5") == Value("1e-5"));
  CHECK(from_opts("NAME", "[1]") == Value("[1]"));
  CHECK(from_opts("NAME", "'10'") == Value("10"));
  CHECK(from_opts("NAME", "") == Value(""));
  CHECK(from_yaml("NAME", "10") == Value("10"));
  CHECK(from_yaml("NAME", "\"10\"") == Value("10"));
  CHECK(from_yaml("NAME", "\"'10'\"") == Value("10"));
  CHECK(from_yaml("NAME", "'03'") == Value("03"));
  CHECK(from_yaml("NAME", "yes") == Value("yes"));
  CHECK(from_yaml("NAME", "/data/x y") == Value("/data/x y"));
  CHECK(from_yaml("NAME", "") == Value());
  CHECK_THAT(yaml_error("NAME", "[1]"), ContainsSubstring("expected str, given [1] (list)"));
}

TEST_CASE("None replaces any leaf and any leaf replaces None") {
  for (const char* key : {"EPOCHS", "BASE_LR", "SHUFFLE", "NAME", "DEPTHS", "SCALE"}) {
    CHECK(from_opts(key, "None").is_none());
    CHECK(from_yaml(key, "null").is_none());
    CHECK(from_yaml(key, "").is_none());
  }
  CHECK(from_opts("SCALE", "0.5") == Value(0.5));
  CHECK(from_opts("SCALE", "2") == Value(2.0));
  Config config = test_config();
  merge_words(config, {"T.EPOCHS", "None", "T.EPOCHS", "later"});
  CHECK(config.group("T.EPOCHS").value() == Value("later"));
  CHECK_THAT(problems_of([&] { bind<TestKeys>(config.group("T")); }),
             ContainsSubstring("--opts pair 2: T.EPOCHS: expected int >= 1"));
}

TEST_CASE("tuples and lists are the same, and elements are typed") {
  CHECK(from_opts("DEPTHS", "1,2") == Value(List{1, 2}));
  CHECK(from_opts("DEPTHS", "(1, 2)") == Value(List{1, 2}));
  CHECK(from_opts("DEPTHS", "[]") == Value(List{}));
  CHECK(from_yaml("DEPTHS", "[1, 0x10]") == Value(List{1, 16}));
  CHECK(from_yaml("DEPTHS", "\n  - 1\n  - 2") == Value(List{1, 2}));
  CHECK(from_yaml("BETAS", "[1e-3, 1]") == Value(List{0.001, 1.0}));
  CHECK(from_opts("BETAS", "0.5,1") == Value(List{0.5, 1.0}));
  CHECK(from_yaml("PLUGINS", "[a.so, 10, 'yes']") == Value(List{"a.so", "10", "yes"}));
  CHECK(from_opts("PLUGINS", "[./a.so, b.so]") == Value(List{"./a.so", "b.so"}));
  CHECK(from_opts("PLUGINS", "['a, b']") == Value(List{"a, b"}));
  CHECK_THAT(opts_error("DEPTHS", "[a,b]"), ContainsSubstring("expected list of int, given '[a,b]' (str)"));
  CHECK_THAT(opts_error("DEPTHS", "3"), ContainsSubstring("expected list of int, given 3 (int)"));
  CHECK_THAT(yaml_error("DEPTHS", "[{a: 1}]"), ContainsSubstring("given a list with groups in it"));
  CHECK(from_yaml("DEPTHS", "[a]") == Value(List{"a"}));  // yacs does not look into lists; binding does
}

TEST_CASE("nan and inf only where the key says so") {
  CHECK(from_opts("LIMIT", "inf") == Value(HUGE_VAL));
  CHECK(from_opts("LIMIT", "-.inf") == Value(-HUGE_VAL));
  CHECK(from_yaml("LIMIT", "nan").kind() == Kind::real);
  CHECK_THAT(opts_error("BASE_LR", "inf"), ContainsSubstring("expected float, given 'inf' (str)"));
  CHECK_THAT(opts_error("BASE_LR", "nan"), ContainsSubstring("expected float"));
  Config config = test_config();
  config.set("T.BASE_LR", HUGE_VAL);
  CHECK_THAT(problems_of([&] { bind<TestKeys>(config.group("T")); }),
             ContainsSubstring("expected a finite float"));
}

TEST_CASE("an int key with auto") {
  CHECK(from_opts("THREADS", "auto") == Value("auto"));
  CHECK(from_yaml("THREADS", "4") == Value(4));
  CHECK_THAT(opts_error("THREADS", "many"), ContainsSubstring("expected int or auto, given 'many' (str)"));
}

TEST_CASE("a group is no leaf and a leaf is no group") {
  CHECK_THAT(opts_error("SCHEDULE", "3"),
             ContainsSubstring("T.SCHEDULE: is a group of keys (DECAY_RATE), given 3 (int)"));
  CHECK_THAT(yaml_error("SCHEDULE", "null"),
             ContainsSubstring("is a group of keys (DECAY_RATE), given None"));
  CHECK_THAT(yaml_error("EPOCHS", "{A: 1}"),
             ContainsSubstring("T.EPOCHS: expected int, given a group of keys"));
  CHECK_THAT(opts_error("EPOCHS.A", "1"),
             ContainsSubstring("T.EPOCHS.A: unknown key: T.EPOCHS is a value, not a group"));
}
