#include "lib/base/text.h"
#include "tests/catch.h"

using namespace trainer;
using Names = std::vector<std::string>;

TEST_CASE("nearest: by edit distance, best first, ignoring case and separators") {
  const Names keys = {"DATA.BATCH_SIZE", "DATA.IMG_SIZE",           "MODEL.NAME",   "TRAIN.BASE_LR",
                      "TRAIN.EPOCHS",    "TRAIN.LR_SCHEDULER.NAME", "TRAIN.MIN_LR", "TRAIN.OPTIMIZER.NAME"};
  CHECK(nearest("TRAIN.BASELR", keys) == Names{"TRAIN.BASE_LR"});
  CHECK(nearest("train.base-lr", keys) == Names{"TRAIN.BASE_LR"});
  CHECK(nearest("BATCH_SIZE", keys) == Names{"DATA.BATCH_SIZE"});
  CHECK(nearest("DATA.BACTH_SIZE", keys) == Names{"DATA.BATCH_SIZE"});
  CHECK(nearest("EPOCH", keys) == Names{"TRAIN.EPOCHS"});
  CHECK(nearest("TRAIN.NAME", keys).front() != "DATA.BATCH_SIZE");
  CHECK(nearest("TRAIN.NAME", keys, 2).size() == 2);
  CHECK(nearest("COMPLETELY.DIFFERENT", keys).empty());
  CHECK(nearest("", keys).empty());
  CHECK(nearest("X", keys).empty());
  CHECK(nearest(std::string(1'000'000, 'x'), keys).empty());
  CHECK(nearest("adamw", Names{"sgd", "adam", "lamb", "adan"}).front() == "adam");
}

TEST_CASE("did_you_mean: one name, several, or nothing") {
  CHECK(did_you_mean("sdg", Names{"sgd", "adamw"}) == " (did you mean sgd?)");
  CHECK(did_you_mean("resnet19", Names{"resnet18", "resnet10t", "vit"}) ==
        " (did you mean resnet18 or resnet10t?)");
  CHECK(did_you_mean("quux", Names{"sgd", "adamw"}).empty());
  CHECK(did_you_mean("abd", Names{"abc", "abe", "abf", "abg"}) == " (did you mean abc, abe or abf?)");
}
