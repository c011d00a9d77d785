#include "lib/base/error.h"

#include "tests/error_of.h"

using namespace trainer;

TEST_CASE("check does nothing when the condition holds") {
  CHECK_NOTHROW(check(true, "never {}", 1));
  CHECK_NOTHROW(check(Exit::data, true, "never {}", 1));
}

TEST_CASE("a failed contract names the place in the source") {
  const int line = __LINE__ + 1;
  const Error e = thrown_by([] { check(1 + 1 == 3, "input has {} channels, weight expects {}", 3, 4); });
  CHECK(e.code() == Exit::internal);
  CHECK_THAT(e.what(), ContainsSubstring("input has 3 channels, weight expects 4 ["));
  CHECK_THAT(e.what(), ContainsSubstring("error_test.cpp:" + std::to_string(line) + "]"));
}

TEST_CASE("a user's mistake carries its exit code and no place in the source") {
  const Error checked = thrown_by([] { check(Exit::data, false, "label {} is outside [0, {})", 12, 10); });
  CHECK(checked.code() == Exit::data);
  CHECK(std::string(checked.what()) == "label 12 is outside [0, 10)");

  const Error failed = thrown_by([] { fail(Exit::weights, "{}: truncated", "a.safetensors"); });
  CHECK(failed.code() == Exit::weights);
  CHECK(std::string(failed.what()) == "a.safetensors: truncated");
}

TEST_CASE("braces in an argument are text") {
  const std::string name = "{}{0}";
  CHECK(std::string(thrown_by([&] { fail(Exit::usage, "key {}", name); }).what()) == "key {}{0}");
}
