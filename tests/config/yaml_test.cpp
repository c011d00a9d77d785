// YAML as an attacker, or a tired person, writes it.
#include "lib/config/yaml.h"

#include "tests/config/fixture.h"

using namespace trainer;
using namespace trainer::config;
using namespace std::string_literals;

namespace {

std::shared_ptr<const RawValue> read(const std::string& text) {
  Budget budget;
  Problems problems;
  auto root = read_yaml(text, "a.yaml", budget, problems);
  problems.raise();
  return root;
}
std::string refusal(const std::string& text) {
  return problems_of([&] { read(text); });
}
std::string repeated(const std::string& text, int times) {
  std::string out;
  for (int i = 0; i < times; ++i) out += text;
  return out;
}

}  // namespace

TEST_CASE("a map with positions") {
  const auto root = read("A:\n  B: 1\n  C: [x, 'y']\n");
  REQUIRE(root->entries.size() == 1);
  const RawValue& group = *root->entries[0].value;
  CHECK(group.entries[1].key == "C");
  CHECK(group.entries[1].mark.line == 3);
  CHECK(group.entries[1].mark.column == 3);
  CHECK(group.entries[1].value->items[1]->form == RawValue::Form::quoted);
  CHECK(read("\xEF\xBB\xBFX: 1\r\nY: \xC3\xA9\r\n...\n")->entries.size() == 2);
}

TEST_CASE("the document is one map") {
  for (const char* text : {"", "\n\n", "# only a comment\n", "---\n", "null\n"}) {
    INFO(text);
    CHECK(refusal(text) == "a.yaml: the file is empty");
  }
  CHECK_THAT(refusal("- 1\n"),
             ContainsSubstring("a.yaml:1:1: the root must be a map of keys, not [1] (list)"));
  CHECK_THAT(refusal("A:1\n"), ContainsSubstring("the root must be a map"));
  CHECK_THAT(refusal("A: 1\n---\nA: 2\n"),
             ContainsSubstring("a second document or text after the end of the first"));
  CHECK_THAT(refusal("{A: 1} tail\n"), ContainsSubstring("a.yaml:1:"));
  CHECK_THAT(refusal("{A: 1}\n{B: 1}\n"), ContainsSubstring("a.yaml:2:1: a second document or text"));
}

TEST_CASE("duplicate keys are refused, all of them, with their lines") {
  CHECK(refusal("A:\n  B: 1\n  C: 1\n  B: 2\nA: 3\n") ==
        "a.yaml:4:3: A.B: duplicate key, first in line 2\na.yaml:5:1: A: duplicate key, first in line 1");
}

TEST_CASE("merge keys, foreign tags and keys that are not words are refused") {
  CHECK_THAT(refusal("A: &a {X: 1}\nB:\n  <<: *a\n"),
             ContainsSubstring("a.yaml:3:3: merge keys (<<) are not supported"));
  CHECK_THAT(refusal("A: !!python/object:os.system 1\n"),
             ContainsSubstring("tag:yaml.org,2002:python/object:os.system"));
  CHECK_THAT(refusal("A: !mine [1]\n"), ContainsSubstring("the tag !mine is not supported"));
  CHECK_THAT(refusal("? [a]\n: 1\n"), ContainsSubstring("a key must be a plain word"));
  CHECK_THAT(refusal("~: 1\n"), ContainsSubstring("a key must be a word"));
  CHECK_THAT(refusal("A: &a 1\n*a : 2\n"), ContainsSubstring("not an alias"));
  CHECK(decode(*read("A: !!str 10\n")->entries[0].value) ==
        Value(10));  // as yacs, which decodes every string
}

TEST_CASE("a tag says what a scalar is") {
  const auto value = [](const std::string& text) {
    return decode(*read("A: " + text + "\n")->entries[0].value);
  };
  CHECK(value("!!float 1") == Value(1.0));
  CHECK(value("!!float '1e-3'") == Value(0.001));
  CHECK(value("!!float 010") == Value(10.0));
  CHECK(value("!!float 1:30") == Value(90.0));
  CHECK(value("!!int '10'") == Value(10));
  CHECK(value("!!bool 'off'") == Value(false));
  CHECK(value("!!null text") == Value());
  CHECK(value("! 'yes'") == Value(true));  // as PyYAML: a tag without a name is that of a plain scalar
  CHECK(value("!") == Value());
  CHECK(value("[!!float 1, !!null x]") == Value(Value::List{1.0, Value()}));
  for (const char* text :
       {"!!int 1.0", "!!int abc", "!!float abc", "!!float 0x10", "!!float ''", "!!bool 1"}) {
    INFO(text);
    CHECK_THAT(refusal(std::string("A: ") + text + "\n"), ContainsSubstring("is not what the tag !!"));
  }
  CHECK_THAT(yaml_error("NAME", "!!int 1"), ContainsSubstring("expected str, given 1 (int)"));
}

TEST_CASE("what the parser reads into bad layout is refused") {
  for (const char* list : {"[,]", "[1,,2]", "[1, ,]", "[[],,]"}) {
    INFO(list);
    CHECK_THAT(refusal("\xEF\xBB\xBF"
                       "A: " +
                       std::string(list) + "\n"),
               ContainsSubstring("nothing before a comma"));
  }
  CHECK(read("A: [1, null, ~,]\nB:\n-\n- 1\n")->entries[0].value->items.size() == 3);
  for (const char* value : {"x", "'x'", "[x]", "{x: 1}"}) {
    INFO(value);
    CHECK_THAT(refusal("A: 1\nB:\n" + std::string(value) + "\n"),
               ContainsSubstring("a.yaml:3:1: a value has to be further right than its key"));
  }
  CHECK(read("? A\n: x\nB:\n|\n  x\nC:\n- 1\n")->entries.size() == 3);
  CHECK(read("A: x\rB: y\r\nC: z")->entries[2].mark.line == 3);
}

TEST_CASE("truncated documents are refused") {
  for (const char* text : {"A: \"abc", "A: \"abc\n", "A: 'abc", "A: 'it''", "A: [\"x\n", "A: 1\n\"B", "A: \"",
                           "A: '", "A: \"x\n  ", "A: \"x\\"}) {
    INFO(text);
    CHECK_THAT(refusal(text), ContainsSubstring("a.yaml:"));
  }
  CHECK(refusal("A: 1\nB: \"abc\n") == "a.yaml:2:1: a quoted text is not closed at the end of the file");
  CHECK_THAT(refusal("A: [1, 2\n"), ContainsSubstring("a.yaml:"));
  CHECK_THAT(refusal("A: {B: 1\n"), ContainsSubstring("a.yaml:"));
  CHECK(read("A: \"# end\"\nB: '# end..'\n")->entries.size() == 2);
  CHECK(read("A: |\n  text\n  # end")->entries[0].value->text == "text\n# end");
  CHECK(read("A: |\n  text\n")->entries[0].value->text == "text\n");
}

TEST_CASE("depth is bounded before the parser's stack is") {
  CHECK(read("A: " + std::string(60, '[') + std::string(60, ']') + "\n"));
  CHECK_THAT(refusal("A: " + std::string(100, '[') + std::string(100, ']') + "\n"),
             ContainsSubstring("nested deeper than 64 levels"));
  std::string indented;
  for (int i = 0; i < 100; ++i) indented += std::string(static_cast<size_t>(i), ' ') + "A:\n";
  CHECK_THAT(refusal(indented), ContainsSubstring("a.yaml:65:65: nested deeper than 64 levels"));
  for (const std::string& text :
       {std::string(100'000, '['), repeated("{A: ", 100'000), repeated("- ", 100'000),
        repeated("? ", 100'000), "A: " + repeated("[ ", 100'000)}) {
    CHECK_THAT(refusal(text), ContainsSubstring("nested deeper than 64 levels") ||
                                  ContainsSubstring("a key must be a plain word"));
  }
}

TEST_CASE("aliases cost what they expand to") {
  CHECK(read("A: &a [1, 2]\nB: *a\n")->entries[1].value->items.size() == 2);
  CHECK_THAT(refusal("A: &r [*r]\n"),
             ContainsSubstring("a.yaml:1:8: an alias inside the value that it names"));
  CHECK_THAT(refusal("A: *nobody\n"), ContainsSubstring("a.yaml:1:4:"));
  std::string bomb = "A0: &a0 [x, x, x, x, x, x, x, x, x, x]\n";
  for (int i = 1; i < 12; ++i) {
    const std::string alias = "*a" + std::to_string(i - 1);
    bomb += "A" + std::to_string(i) + ": &a" + std::to_string(i) + " [" + repeated(alias + ", ", 9) + alias +
            "]\n";
  }
  CHECK_THAT(refusal(bomb), ContainsSubstring("too many values"));
  CHECK_THAT(refusal("A: &a \"" + std::string(500'000, 'x') + "\"\nB: [" + repeated("*a, ", 1000) + "]\n"),
             ContainsSubstring("too many values"));
  CHECK_THAT(refusal("A: [" + repeated("1,", 100'001) + "]\n"), ContainsSubstring("too many values"));
}

TEST_CASE("text that is not UTF-8 or has control characters is refused") {
  CHECK_THAT(refusal("\xFF\xFE"
                     "A\0:\0 \0001\0"s),
             ContainsSubstring("UTF-16"));
  CHECK_THAT(refusal("A\0:\0"s), ContainsSubstring("a.yaml:1:2: the control character 0x00"));
  CHECK_THAT(refusal("A: 1\n\x04"
                     "B: 2\n"),
             ContainsSubstring("a.yaml:2:1: the control character 0x04"));
  CHECK_THAT(refusal("A: 1\nB: \xC2\x9F\n"), ContainsSubstring("a.yaml:2:4: the control character 0x9f"));
  CHECK_THAT(refusal("A: \xEF\xBF\xBF\n"), ContainsSubstring("0xffff"));
  CHECK_THAT(refusal("A: \xC3\x28\n"), ContainsSubstring("a.yaml:1:4: byte 0xc3: not UTF-8"));
  CHECK_THAT(refusal("A: \xED\xA0\x80\n"), ContainsSubstring("not UTF-8"));
  CHECK_THAT(refusal("\xEF\xBB\xBF\xEF\xBB\xBF"
                     "A: 1\n"),
             ContainsSubstring("a.yaml:1:1: a second byte order mark"));
}

TEST_CASE("characters that end a line for some readers only are refused, unless they are escaped") {
  CHECK_THAT(
      refusal("A: x\n# \xE2\x80\xA8"
              "B: 1\n"),
      ContainsSubstring("a.yaml:2:3: U+2028 ends a line for some readers of YAML and not for others; in "
                        "double quotes it can be written as \\L"));
  CHECK_THAT(refusal("A: '\xE2\x80\xA9'\n"), ContainsSubstring("written as \\P"));
  CHECK_THAT(refusal("A: \xC2\x85\n"), ContainsSubstring("written as \\N"));
  CHECK(read("A: \"\\N\\L\\P\"\n")->entries[0].value->text == "\xC2\x85\xE2\x80\xA8\xE2\x80\xA9");
}

TEST_CASE("escapes are whole characters") {
  CHECK(read("A: \"\\N\\_x\xC3\xA0\xE0\xA0\x85\\xA0\"\n")->entries[0].value->text ==
        "\xC2\x85\xC2\xA0x\xC3\xA0\xE0\xA0\x85\xC2\xA0");
  CHECK(read("\"\\_\": 1\n")->entries[0].key == "\xC2\xA0");
}

TEST_CASE("an apostrophe in double quotes has no escape") {
  CHECK_THAT(refusal("A: &a \"x\\'\"\n"), ContainsSubstring("a.yaml:1:4: unknown escape character: '"));
  CHECK(read("A: \"\\\\'\"\nB: 'x\\'\n")->entries[0].value->text == "\\'");
}

TEST_CASE("directives stand before ---, and nowhere else") {
  CHECK(read("# c\n%YAML 1.2\n\n%FOO bar # c\n--- # c\nA: '%'\n")->entries.size() == 1);
  for (const char* text : {"%YAML 1.2\nA: 1\n", "%FOO\n", "\n%A b\n# c\n", "%FOO\n ---\nA: 1\n"}) {
    INFO(text);
    CHECK_THAT(refusal(text), ContainsSubstring("--- is missing after the directives (%)"));
  }
  CHECK_THAT(refusal("%\n---\nA: 1\n"), ContainsSubstring("a.yaml:1:1: a directive (%) without a name"));
  for (const char* text : {"A: 1\n%YAML 1.2\n", "A: 'x\n%y'\n", "---\n%A\n"}) {
    INFO(text);
    CHECK_THAT(refusal(text), ContainsSubstring(": a line that begins with % is a directive"));
  }
}

TEST_CASE("a comment behind the marks of a block scalar needs a space before it") {
  CHECK(read("A: |+ # c\n  x\nB: &b >2\t# c\n  y\n")->entries[1].value->text == "y\n");
  for (const char* header : {"|#", "|+#+", ">2# c", "&a |-#", "!!str >#", "&a\n  |# c"}) {
    INFO(header);
    CHECK_THAT(refusal("A: " + std::string(header) + "\n  x\n"),
               ContainsSubstring("a.yaml:1:4: a comment needs a space before it"));
  }
}

TEST_CASE("YAML's own errors have their place") {
  CHECK_THAT(refusal("A: 1\nB: b: c\n"), ContainsSubstring("a.yaml:2:"));
  CHECK_THAT(refusal("A:\n\tB: 1\n"), ContainsSubstring("a.yaml:"));
  CHECK_THAT(refusal("A: @x\n"), ContainsSubstring("a.yaml:1:4"));
}

TEST_CASE("files that cannot be configurations") {
  const Folder folder;
  Config config = test_config();
  const auto error = [&](const std::filesystem::path& path) {
    return problems_of([&] { config.merge_file(path); });
  };
  CHECK_THAT(error(folder / "missing.yaml"),
             ContainsSubstring("missing.yaml: cannot be read: No such file or directory"));
  CHECK_THAT(error(folder / ""), ContainsSubstring("is a directory"));
  CHECK_THAT(error(folder.write("a.py", "x = 1")), ContainsSubstring("write YAML"));
  CHECK_THAT(error(folder.write("big.yaml", "T: {}\n#" + std::string(1 << 20, 'x'))),
             ContainsSubstring("is larger than 1024 KiB"));
  CHECK_THAT(error("/dev/zero"), ContainsSubstring("is larger than 1024 KiB"));
}

TEST_CASE("what the parser would hold in memory before it ends is bounded") {
  for (const std::string& text : {"A: [" + repeated("1,", 500'000), "A: {" + repeated("a,", 500'000),
                                  "A: [" + repeated("\"\" ", 300'000), repeated("[", 1'000'000)}) {
    CHECK_THAT(refusal(text), ContainsSubstring("a.yaml: too many values"));
  }
  const Folder folder;
  folder.write("base.yaml", "T: {}\n#" + std::string(1'000'000, 'x'));
  Config config = test_config();
  CHECK_THAT(problems_of([&] {
               config.merge_file(folder.write("a.yaml", "BASE: [" + repeated("base.yaml, ", 200) + "]\n"));
             }),
             ContainsSubstring("base.yaml: the files are larger than 4096 KiB together"));
}
