#include "lib/config/pending.h"

#include <algorithm>

#include "tests/config/fixture.h"

using namespace trainer;
using namespace trainer::config;

namespace {

/// The keys that a table depends on, as their components declare them.
Config config_with_switches() {
  struct Switches {
    std::string type = "auto";
    bool augment = true;
    void fields(Fields& f) {
      f("MODEL.TYPE", type, "model family");
      f("AUG.ENABLE", augment, "augmentation");
    }
  };
  declare("", Switches{});
  return Config::defaults();
}

/// Whether the key still waits for its component.
bool is_pending(const Config& config, const std::string& key) { return config.explanation(key).unsupported; }

}  // namespace

TEST_CASE("Swin's keys are known, with Swin's defaults") {
  const Config config = config_with_switches();
  CHECK(config.group("MODEL.SWIN.DEPTHS").value() == Value(Value::List{2, 2, 6, 2}));
  CHECK(config.group("MODEL.SWIN.QK_SCALE").value().is_none());
  CHECK(config.group("MODEL.SWIN_MOE.CAPACITY_FACTOR").value() == Value(1.25));
  CHECK(config.group("AUG.AUTO_AUGMENT").value() == Value("rand-m9-mstd0.5-inc1"));
  CHECK(config.group("TEST.CROP").value() == Value(true));
  CHECK_FALSE(config.root().find("MODEL.SWINV2.QK_SCALE"));
  CHECK_FALSE(config.root().find("MODEL.SWIN_MLP.QKV_BIAS"));
  check_pending(config);
}

TEST_CASE("a value that would silently do nothing is refused, or spoken of where it changes no result") {
  Config config = config_with_switches();
  merge_words(config, {"DATA.PIN_MEMORY", "False", "FUSED_LAYERNORM", "True", "MODEL.SWINV2.EMBED_DIM", "128",
                       "AMP_OPT_LEVEL", "O0"});
  const auto notices = check_pending(config);
  const std::string notice =
      "--opts pair 2: FUSED_LAYERNORM: known but not implemented yet; it changes no result and is ignored";
  if (is_pending(config, "FUSED_LAYERNORM")) CHECK(std::ranges::count(notices, notice) == 1);
  if (!is_pending(config, "MODEL.SWIN_MOE.TOP_VALUE") || !is_pending(config, "DATA.ZIP_MODE")) return;
  merge_words(config, {"DATA.ZIP_MODE", "True", "MODEL.SWIN_MOE.TOP_VALUE", "2", "MODEL.TYPE", "swin_moe"});
  CHECK(problems_of([&] { check_pending(config); }) ==
        "--opts pair 1: DATA.ZIP_MODE: known but not implemented yet, given True (bool)\n"
        "--opts pair 2: MODEL.SWIN_MOE.TOP_VALUE: known but not implemented yet, given 2 (int)");
}

TEST_CASE("augmentation keys do not matter while augmentation is off") {
  Config config = config_with_switches();
  if (!is_pending(config, "AUG.MIXUP")) return;
  merge_words(config, {"AUG.MIXUP", "0.0"});
  CHECK_THAT(problems_of([&] { check_pending(config); }),
             ContainsSubstring("--opts pair 1: AUG.MIXUP: known but not implemented yet"));
  merge_words(config, {"AUG.ENABLE", "no"});
  check_pending(config);
}

TEST_CASE("MODEL.SWIN without MODEL.TYPE means a Swin, as in Swin's own defaults") {
  Config config = config_with_switches();
  if (!is_pending(config, "MODEL.SWIN.EMBED_DIM")) return;
  merge_words(config, {"MODEL.SWIN.EMBED_DIM", "128"});
  CHECK(problems_of([&] { check_pending(config); }) ==
        "--opts pair 1: MODEL.SWIN.EMBED_DIM: known but not implemented yet, given 128 (int)");
}

TEST_CASE("keys of training do not matter to an evaluation, those of data and models do") {
  Config config = config_with_switches();
  if (!is_pending(config, "AUG.MIXUP") || !is_pending(config, "TEST.CROP")) return;
  merge_words(config, {"AUG.MIXUP", "0.0", "TRAIN.LAYER_DECAY", "0.5"});
  CHECK_THAT(problems_of([&] { check_pending(config); }),
             ContainsSubstring("AUG.MIXUP") && ContainsSubstring("TRAIN.LAYER_DECAY"));
  check_pending(config, Use::evaluation);
  merge_words(config, {"TEST.CROP", "False"});
  CHECK_THAT(problems_of([&] { check_pending(config, Use::evaluation); }), ContainsSubstring("TEST.CROP"));
}
