#include "apps/trainer/arguments.h"

#include "lib/base/error.h"
#include "tests/error_of.h"

using trainer::app::Arguments;
using trainer::app::take_opts;
using Words = std::vector<std::string>;

TEST_CASE("flag --opts: pairs up to the next flag in key position") {
  const Arguments a = take_opts({"--cfg", "x.yaml", "--opts", "A", "1", "B.C", "two", "--eval"});
  CHECK(a.flags == Words{"--cfg", "x.yaml", "--eval"});
  CHECK(a.opts == Words{"A", "1", "B.C", "two"});
}

TEST_CASE("flag --opts: values may begin with dashes") {
  const Arguments a = take_opts({"--opts", "A", "-1", "B", "--value", "--eval"});
  CHECK(a.opts == Words{"A", "-1", "B", "--value"});
  CHECK(a.flags == Words{"--eval"});
}

TEST_CASE("flag --opts: KEY=VALUE is a pair of its own, split at the first =") {
  CHECK(take_opts({"--opts", "A=1", "B", "2", "C=x=y", "D="}).opts ==
        Words{"A", "1", "B", "2", "C", "x=y", "D", ""});
  CHECK(take_opts({"--opts", "A", "x=y"}).opts == Words{"A", "x=y"});  // in the place of a value
}

TEST_CASE("flag --opts may come anywhere, repeat and be empty") {
  const Arguments a = take_opts({"--opts", "A", "1", "--opts", "A", "2", "--tag", "t", "--opts"});
  CHECK(a.opts == Words{"A", "1", "A", "2"});
  CHECK(a.flags == Words{"--tag", "t"});
}

TEST_CASE("flag --opts: a key without a value is refused") {
  CHECK_THAT(trainer::error_of([] {
               take_opts({"--opts", "A", "1", "B"});
             }),
             ContainsSubstring("key B has no value"));
}

TEST_CASE("underscores in flags are dashes, in values they stay") {
  CHECK(take_opts({"--batch_size", "a_b", "--data_path=x_y"}).flags ==
        Words{"--batch-size", "a_b", "--data-path=x_y"});
  CHECK(take_opts({"--opts", "A_B", "c_d"}).opts == Words{"A_B", "c_d"});
}
