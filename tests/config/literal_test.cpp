#include "lib/config/literal.h"

#include <cmath>

#include "lib/config/yaml_scalar.h"
#include "tests/catch.h"

using namespace trainer::config;
using List = Value::List;

TEST_CASE("numbers are Python's") {
  CHECK(parse_literal("10") == Value(10));
  CHECK(parse_literal("-3") == Value(-3));
  CHECK(parse_literal(" 1_000 ") == Value(1000));
  CHECK(parse_literal("0x10") == Value(16));
  CHECK(parse_literal("0o17") == Value(15));
  CHECK(parse_literal("0b11") == Value(3));
  CHECK(parse_literal("00") == Value(0));
  CHECK(parse_literal("1.") == Value(1.0));
  CHECK(parse_literal("-.5") == Value(-0.5));
  CHECK(parse_literal("1e-8") == Value(1e-8));
  CHECK(parse_literal("1_0.5E+1") == Value(105.0));
  CHECK(parse_literal("1e999") == Value(HUGE_VAL));
  CHECK(parse_literal("1e-999") == Value(0.0));
  CHECK(parse_literal("9223372036854775807") == Value(INT64_MAX));
  CHECK(parse_literal("-9223372036854775808") == Value(INT64_MIN));
  CHECK(parse_literal("10 # ten") == Value(10));
  for (const char* text : {"010",
                           "1__0",
                           "_1",
                           "1_",
                           "0x",
                           "1e",
                           "1.2.3",
                           "10px",
                           "2j",
                           "--1",
                           "+",
                           "-e5",
                           "-abc",
                           ".",
                           "-",
                           "nan",
                           "inf",
                           "1 2",
                           "9223372036854775808",
                           "0xg",
                           "1e_5"}) {
    INFO(text);
    CHECK_FALSE(parse_literal(text));
  }
}

TEST_CASE("None, booleans, strings, lists and tuples") {
  CHECK(parse_literal("None") == Value());
  CHECK(parse_literal("True") == Value(true));
  CHECK(parse_literal("'a'") == Value("a"));
  CHECK(parse_literal("'a' \"b\"") == Value("ab"));
  CHECK(parse_literal(R"('\x41\u00e9\n\q')") == Value("A\xC3\xA9\n\\q"));
  CHECK(parse_literal(R"(r'\n')") == Value("\\n"));
  CHECK(parse_literal("'''a\nb'''") == Value("a\nb"));
  CHECK(parse_literal("1,2") == Value(List{1, 2}));
  CHECK(parse_literal("1,") == Value(List{1}));
  CHECK(parse_literal("(1)") == Value(1));
  CHECK(parse_literal("()") == Value(List{}));
  CHECK(parse_literal("[[1, 2.5], ('x',)]") == Value(List{List{1, 2.5}, List{"x"}}));
  CHECK(parse_literal("[1,\n 2,]") == Value(List{1, 2}));
  for (const char* text : {"",    " ",       "abc",    "true",        "none",          "[a,b]",   "[1",
                           "1]",  "(1]",     "[,]",    "'a",          "b'x'",          "{}",      "{'a': 1}",
                           "a,1", "foo/bar", "'a\nb'", R"('\ud800')", R"('\N{DASH}')", R"('\x4')"}) {
    INFO(text);
    CHECK_FALSE(parse_literal(text));
  }
}

TEST_CASE("line breaks and comments stand where Python lets them") {
  CHECK(parse_literal("\n1 # one\n\n# end") == Value(1));
  CHECK(parse_literal("[1, # a\n 2]") == Value(List{1, 2}));
  CHECK(parse_literal("(\n'a'\n'b')") == Value("ab"));
  CHECK(parse_literal("1, # a tuple") == Value(List{1}));
  CHECK(parse_literal("1,\\\n2") == Value(List{1, 2}));
  CHECK(parse_literal("\f1\f") == Value(1));
  CHECK(parse_literal("1\n # c") == Value(1));
  for (const char* text : {"1,\n2", "'a'\n'b'", "\n 1", "1\n2", "# 1", "\n", "1\n ", "1 \\\n", "\f 1"}) {
    INFO(text);
    CHECK_FALSE(parse_literal(text));
  }
}

TEST_CASE("a sign may stand before parentheses") {
  CHECK(parse_literal("-(1)") == Value(-1));
  CHECK(parse_literal("+((1.5))") == Value(1.5));
  for (const char* text : {"-(1,)", "-(-1)", "-(1", "-()", "-([1])", "-(True)"}) {
    INFO(text);
    CHECK_FALSE(parse_literal(text));
  }
}

TEST_CASE("nesting is bounded") {
  CHECK(parse_literal(std::string(60, '[') + std::string(60, ']')));
  CHECK_FALSE(parse_literal(std::string(100'000, '[')));
  CHECK_FALSE(parse_literal(std::string(100'000, '(') + std::string(100'000, ')')));
}

TEST_CASE("a quoted literal reads back") {
  for (const std::string text : {"", "a", "it's", "\\", "a\nb\x01\x7F", "\xC3\xA9", "\"'"}) {
    CHECK(parse_literal(quote_literal(text)) == Value(text));
  }
}

TEST_CASE("plain YAML scalars are YAML 1.1's") {
  CHECK(resolve_yaml_scalar("010") == Value(8));
  CHECK(resolve_yaml_scalar("1:30") == Value(90));
  CHECK(resolve_yaml_scalar("1:30.5") == Value(90.5));
  CHECK(resolve_yaml_scalar("-2233720368547758:08") == Value(-134023222112865488));
  CHECK(resolve_yaml_scalar("153722867280912931:00") == Value("153722867280912931:00"));  // beyond 64 bits
  CHECK(resolve_yaml_scalar("190:20:30.15") ==
        Value(30.15 + 20 * 60 + 190 * 3600));  // in this order, as PyYAML
  CHECK(resolve_yaml_scalar("Yes") == Value(true));
  CHECK(resolve_yaml_scalar("off") == Value(false));
  CHECK(resolve_yaml_scalar("~") == Value());
  CHECK(resolve_yaml_scalar("") == Value());
  CHECK(resolve_yaml_scalar("-.inf") == Value(-HUGE_VAL));
  CHECK(std::isnan(*resolve_yaml_scalar(".nan").get_if<double>()));
  CHECK(resolve_yaml_scalar("1.5e+3") == Value(1500.0));
  for (const char* text : {"1e-8", "1.5e3", "0o10", "None", "y", "nan", "08", "0x-5", "1:60", "22:2_",
                           "1:2_.5", "-", "+.5", ".", "0:30"}) {
    INFO(text);
    CHECK(resolve_yaml_scalar(text) == Value(text));
  }
}
