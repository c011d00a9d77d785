// A dump is sorted, is the same for every YAML reader, and gives the same tree again.
#include "lib/config/dump.h"

#include <algorithm>
#include <limits>

#include "tests/config/fixture.h"

using namespace trainer;
using namespace trainer::config;

namespace {

void check_round_trip(const Config& config) {
  const Folder folder;
  Config again = test_config();
  again.merge_file(folder.write("dump.yaml", config.dump()));
  INFO(config.dump());
  CHECK(again == config);
  CHECK(again.dump() == config.dump());
}

}  // namespace

TEST_CASE("floats look like floats to every reader") {
  CHECK(yaml_float(1) == "1.0");
  CHECK(yaml_float(-0.0) == "-0.0");
  CHECK(yaml_float(5e-7) == "5.0e-07");
  CHECK(yaml_float(1e20) == "1.0e+20");
  CHECK(yaml_float(1.25e-8) == "1.25e-08");
  CHECK(yaml_float(0.1) == "0.1");
  CHECK(yaml_float(1e300) == "1.0e+300");
  CHECK(yaml_float(HUGE_VAL) == ".inf");
  CHECK(yaml_float(-HUGE_VAL) == "-.inf");
  CHECK(yaml_float(std::numeric_limits<double>::quiet_NaN()) == ".nan");
}

TEST_CASE("strings are quoted where they could be something else") {
  for (const char* text : {"abc", "rand-m9-mstd0.5-inc1", "/data/a_b.c", "../x", "./x", "swin_tiny"})
    CHECK(yaml_string(text) == text);
  for (const char* text :
       {"",    "10", "1e-5", "yes",  "Null", "y",  "True", "None",       "0x10", "a b", "a: b", "#x", "-",
        "[1]", "~",  "1:30", ".inf", "*a",   "&a", "!x",   "2020-01-01", "'a'",  "<<",  "=",    ".5"}) {
    INFO(text);
    CHECK((yaml_string(text).front() == '\'' || yaml_string(text).front() == '"'));
  }
  CHECK(yaml_string("it's") == "'it''s'");
  CHECK(yaml_string("a\nb\"\x01") == R"("a\nb\"\x01")");
  CHECK(yaml_string("\xC2\x80\xC2\x85\xC2\xA0") == "\"\\x80\\x85\xC2\xA0\"");
  CHECK(yaml_string("\xE2\x80\xA7\xE2\x80\xA8\xE2\x80\xA9") == "\"\xE2\x80\xA7\\u2028\\u2029\"");
  CHECK(yaml_string("\xEF\xBF\xBD\xEF\xBF\xBE\xEF\xBF\xBF") == "\"\xEF\xBF\xBD\\ufffe\\uffff\"");
}

TEST_CASE("defaults and values of every type round-trip") {
  Config config = test_config();
  check_round_trip(config);
  CHECK_THAT(config.dump(), ContainsSubstring("  BASE_LR: 0.0005\n"));
  CHECK_THAT(config.dump(), ContainsSubstring("  BETAS: [0.9, 0.999]\n"));
  CHECK_THAT(config.dump(), ContainsSubstring("  SCALE: null\n"));
  CHECK_THAT(config.dump(), ContainsSubstring("  SHUFFLE: true\n"));
  CHECK_THAT(config.dump(), ContainsSubstring("  SCHEDULE:\n    DECAY_RATE: 0.1\n"));

  merge_words(config, {"T.EPOCHS", "None", "T.LIMIT", "nan", "T.BASE_LR", "5e-7", "T.THREADS", "8",
                       "T.PLUGINS", "['1', 'a b', 'None']", "T.DEPTHS", "[]", "T.BETAS", "[1, 'x', None]"});
  check_round_trip(config);
}

TEST_CASE("awkward strings round-trip") {
  for (const std::string text :
       {"",    " ",    "10",  "'10'", "\"'10'\"", "None", "'None'",       "null",
        "yes", "[1]",  "[a]", "{}",   "it's",     "\\",   "\\n",          "a\nb",
        "\t",  "a: b", "# x", "- x",  "1,2",      "é",    "r'x'",         "'a' 'b'",
        "\"",  "%x",   "@",   "\x7F", "<<",       "*a",   "\xE2\x80\xA8", "'\xC2\x85'"}) {
    Config config = test_config();
    config.set("T.NAME", text);
    config.set("T.PLUGINS", Value::List{text});
    check_round_trip(config);
  }
}

TEST_CASE("keys are sorted") {
  const Config config = test_config();
  const auto keys = config.keys();
  CHECK(std::is_sorted(keys.begin(), keys.end()));
  CHECK(std::find(keys.begin(), keys.end(), "T.SCHEDULE.DECAY_RATE") != keys.end());
}
