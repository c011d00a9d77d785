#include "lib/checkpoint/archive.h"

#include <bit>
#include <cmath>
#include <limits>

#include "tests/error_of.h"

using namespace trainer;
using checkpoint::Archive;

namespace {

struct Counter {
  int64_t count = 0;
  double best = 0;
  void state(Archive& a) { a("count", count), a("best", best); }
};

/// One of everything.
struct Everything {
  bool flag = false;
  int64_t integer = 0;
  uint64_t natural = 0;
  double number = 0;
  std::string text;
  std::optional<double> score, no_score;
  std::vector<std::string> texts;
  Counter counter;

  void state(Archive& a) {
    a("flag", flag), a("integer", integer), a("natural", natural), a("number", number), a("text", text);
    a("score", score), a("no_score", no_score), a("texts", texts), a("counter", counter);
  }
};

template <class T>
std::string written(T& object) {
  Archive a;
  object.state(a);
  return a.text();
}

template <class T>
T read(const std::string& text) {
  Archive a(text, "state.json");
  CHECK(a.reading());
  T object;
  object.state(a);
  return object;
}

}  // namespace

TEST_CASE("an archive gives back what went in") {
  Everything in;
  in.flag = true;
  in.integer = INT64_MIN, in.natural = UINT64_MAX, in.number = 0.1, in.text = "\"ü\n\t\\";
  in.score = -1.5;
  in.texts = {"", "b"};
  in.counter = {7, 0.25};
  const std::string text = written(in);
  Everything out = read<Everything>(text);
  CHECK(out.flag);
  CHECK(out.integer == INT64_MIN);
  CHECK(out.natural == UINT64_MAX);
  CHECK(out.text == in.text);
  CHECK(out.score == -1.5);
  CHECK_FALSE(out.no_score);
  CHECK(out.texts == in.texts);
  CHECK(out.counter.count == 7);
  CHECK(written(out) == text);
}

TEST_CASE("an archive is indented JSON in the order of writing") {
  Counter counter{3, 0.5};
  CHECK(written(counter) == "{\n  \"count\": 3,\n  \"best\": 0.5\n}\n");
  Archive a;
  a.group("z", [&](Archive& g) { g("counter", counter); });
  a("a", counter.count);
  CHECK(a.text() ==
        "{\n  \"z\": {\n    \"counter\": {\n      \"count\": 3,\n      \"best\": 0.5\n    }\n  },\n  \"a\": "
        "3\n}\n");
  CHECK(Archive(a.text(), "f").keys() == std::vector<std::string>{"z", "a"});
}

TEST_CASE("every double comes back bit for bit") {
  using limits = std::numeric_limits<double>;
  std::vector<uint64_t> bits;
  for (const double v : {0.0, 1.0, 0.1, 1e300, 1.0 / 3, limits::max(), limits::min(), limits::denorm_min(),
                         limits::infinity(), limits::quiet_NaN(), 1e16, 9007199254740993.0}) {
    bits.push_back(std::bit_cast<uint64_t>(v));
    bits.push_back(std::bit_cast<uint64_t>(v) | (uint64_t{1} << 63));
  }
  bits.push_back(0x7ff0000000000001);  // a signalling NaN
  for (uint64_t x = 1, i = 0; i < 2000; ++i)
    bits.push_back(x = x * 6364136223846793005 + 1442695040888963407);
  Archive a;
  for (size_t i = 0; i < bits.size(); ++i) {
    auto value = std::bit_cast<double>(bits[i]);
    a(std::to_string(i), value);
  }
  Archive b(a.text(), "f");
  for (size_t i = 0; i < bits.size(); ++i) {
    double value = 0;
    b(std::to_string(i), value);
    CHECK(std::bit_cast<uint64_t>(value) == bits[i]);
  }
}

TEST_CASE("an archive's errors name file and key") {
  const auto reading = [](const std::string& text, auto value) {
    return error_of(
        [&] {
          Archive a(text, "run/state.json");
          a.group("group", [&](Archive& g) { g("key", value); });
        },
        Exit::weights);
  };
  const auto in_group = [](const std::string& value) { return "{\"group\": {\"key\": " + value + "}}"; };
  CHECK(reading("{}", int64_t{}) == "run/state.json: has no 'group'");
  CHECK(reading("{\"group\": {}}", int64_t{}) == "run/state.json: has no 'group.key'");
  CHECK(reading("{\"group\": 1}", int64_t{}) == "run/state.json: 'group' is not an object");
  CHECK(reading(in_group("\"x\""), int64_t{}) == "run/state.json: 'group.key' is \"x\", expected an integer");
  CHECK(reading(in_group("1.5"), int64_t{}) == "run/state.json: 'group.key' is 1.5, expected an integer");
  for (const char* value : {"9223372036854775808", "true", "null", "[]"}) {
    CHECK_THAT(reading(in_group(value), int64_t{}), ContainsSubstring("expected an integer"));
  }
  CHECK_THAT(reading(in_group("-1"), uint64_t{}),
             ContainsSubstring("is -1, expected an integer of 0 or more"));
  CHECK_THAT(reading(in_group("18446744073709551616"), uint64_t{}), ContainsSubstring("expected"));
  for (const char* value : {"\"nan:\"", "\"nan:0\"", "\"nan:7ff8000000000000x\"", "\"infinity\"", "null"}) {
    CHECK_THAT(reading(in_group(value), 0.0), ContainsSubstring("expected a number"));
  }
  CHECK_THAT(reading(in_group("1"), false), ContainsSubstring("expected true or false"));
  CHECK_THAT(reading(in_group("1"), std::string()), ContainsSubstring("expected a string"));
  CHECK_THAT(reading(in_group("\"\""), std::optional<double>()),
             ContainsSubstring("expected a number or null"));
  CHECK_THAT(reading(in_group("[1, \"a\"]"), std::vector<std::string>()),
             ContainsSubstring("is [1,\"a\"], expected a list, each element a string"));
  for (const char* text : {"", "{", "[]", "1", "{}x", "{\"a\": nan}"}) {
    INFO(text);
    CHECK_THAT(reading(text, int64_t{}), ContainsSubstring("run/state.json: not"));
  }
  CHECK_THAT(reading(std::string(100'000, '['), int64_t{}), ContainsSubstring("not valid JSON"));
}

TEST_CASE("a value that cannot be read is left as it was") {
  Archive a("{\"v\": [\"a\", null]}", "f");
  std::vector<std::string> v{"b"};
  CHECK_THROWS_AS(a("v", v), Error);
  CHECK(v == std::vector<std::string>{"b"});
}

TEST_CASE("writing a key twice is a mistake of the program") {
  Archive a;
  bool v = true;
  a("v", v);
  CHECK_THROWS_WITH(a("v", v), ContainsSubstring("'v' is written twice"));
  CHECK_THROWS_WITH(a.group("v", [](Archive&) {}), ContainsSubstring("twice"));
}
