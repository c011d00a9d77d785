#include "lib/base/text.h"

#include <cmath>
#include <limits>

#include "tests/catch.h"

using namespace trainer;

TEST_CASE("glob_match: *, ? and brackets over the whole text") {
  CHECK(glob_match("", ""));
  CHECK_FALSE(glob_match("", "a"));
  CHECK(glob_match("*", ""));
  CHECK(glob_match("resnet*", "resnet18"));
  CHECK(glob_match("*net*", "resnet18"));
  CHECK(glob_match("*18", "resnet18"));
  CHECK_FALSE(glob_match("*18", "resnet180"));
  CHECK(glob_match("resnet?8", "resnet18"));
  CHECK_FALSE(glob_match("resnet?", "resnet"));
  CHECK(glob_match("a*b*c", "a_b_b_c"));
  CHECK_FALSE(glob_match("a*b*c", "a_c_b"));
  CHECK(glob_match("resnet[13]*", "resnet34"));
  CHECK_FALSE(glob_match("resnet[13]*", "resnet50"));
  CHECK(glob_match("[a-cx]1", "b1"));
  CHECK(glob_match("[a-cx]1", "x1"));
  CHECK_FALSE(glob_match("[!a-c]1", "b1"));
  CHECK(glob_match("[!a-c]1", "d1"));
  CHECK(glob_match("[]]", "]"));
  CHECK(glob_match("a[b", "a[b"));  // never closed
  CHECK(glob_match("[a-]", "-"));
  const std::string text(2000, 'a');
  CHECK_FALSE(glob_match("*a*a*a*a*a*a*a*a*a*b", text));  // in quadratic time at most
}

TEST_CASE("printable replaces control characters and cuts long text between characters") {
  CHECK(printable("layer.0.weight") == "layer.0.weight");
  CHECK(printable("a\x1b[31m\n\x7f") == "a?[31m??");
  CHECK(printable("a\xc2\x9b\xc2\xa0") == "a?\xc2\xa0");
  CHECK(printable("abcdef", 3) == "abc...");
  CHECK(printable("ab\xc3\xa9", 3) == "ab...");  // no half of an é
  CHECK(printable("\xc3\xa9") == "\xc3\xa9");
}

TEST_CASE("with_commas groups digits by three") {
  CHECK(with_commas(0) == "0");
  CHECK(with_commas(999) == "999");
  CHECK(with_commas(1000) == "1,000");
  CHECK(with_commas(11689512) == "11,689,512");
  CHECK(with_commas(-999) == "-999");
  CHECK(with_commas(-123456) == "-123,456");
  CHECK(with_commas(std::numeric_limits<int64_t>::min()) == "-9,223,372,036,854,775,808");
}

TEST_CASE("human_count and human_bytes scale by powers of 1000 and 1024") {
  CHECK(human_count(0) == "0");
  CHECK(human_count(999) == "999");
  CHECK(human_count(1000) == "1.0 k");
  CHECK(human_count(11689512) == "11.7 M");
  CHECK(human_count(99.96e6) == "100 M");
  CHECK(human_count(138357544) == "138 M");
  CHECK(human_count(999.9e3) == "1.0 M");
  CHECK(human_count(4.1e9) == "4.1 G");
  CHECK(human_count(-2e12) == "-2.0 T");
  CHECK(human_bytes(512) == "512 B");
  CHECK(human_bytes(1023.7) == "1.0 KiB");
  CHECK(human_bytes(1.3 * 1024 * 1024 * 1024) == "1.3 GiB");
  CHECK(human_bytes(1e30) == "888178419700125 PiB");
  CHECK(human_bytes(std::nan("")) == "?");
}

TEST_CASE("a NaN has no sign in texts") {
  CHECK(fmt::format("{:.3f} {}", unsigned_nan(-std::nan("")), unsigned_nan(std::nan(""))) == "nan nan");
  CHECK(fmt::format("{} {}", unsigned_nan(-std::numeric_limits<double>::infinity()), unsigned_nan(-1.5)) ==
        "-inf -1.5");
}

TEST_CASE("human_time shows hours only if there are any") {
  CHECK(human_time(0) == "0:00");
  CHECK(human_time(42.9) == "0:42");
  CHECK(human_time(723) == "12:03");
  CHECK(human_time(3723) == "1:02:03");
  CHECK(human_time(100 * 3600) == "100:00:00");
  CHECK(human_time(-1) == "?");
  CHECK(human_time(std::numeric_limits<double>::infinity()) == "?");
  CHECK(human_time(std::nan("")) == "?");
}

TEST_CASE("patterns match whole components of a name") {
  CHECK(has_components("a.b.c", "a"));
  CHECK(has_components("a.b.c", "b.c"));
  CHECK(has_components("a.b.c", "a.b.c"));
  CHECK(has_components("ab.b", "b"));
  CHECK_FALSE(has_components("a.bc", "b"));
  CHECK_FALSE(has_components("a.bc", "c"));
  CHECK_FALSE(has_components("a.b", "a.b.c"));
  CHECK_FALSE(has_components("a", ""));
}
