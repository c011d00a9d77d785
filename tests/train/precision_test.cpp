// Mixed precision over whole steps: what is trained, what is seen, and the loss scale.
#include "lib/train/loss_scale.h"
#include "tests/catch.h"
#include "tests/train/rig.h"

using namespace trainer;
using namespace trainer::train;
using Level = nn::Precision::Level;

namespace {

Rig rig(const nn::Precision& precision, std::vector<int64_t> broken = {}, int64_t nonfinite = 3) {
  return Rig({.epochs = 20, .max_nonfinite = nonfinite}, std::make_shared<Line>(32, std::move(broken)), 8,
             false, alone(), 1, false, precision);
}

float rounded(float v) { return static_cast<float>(bf16(v)); }

}  // namespace

TEST_CASE("in 16 bits a model learns what it learns in f32") {
  Rig exact = rig({});
  exact.trainer->run();
  for (const DType type : {DType::bf16, DType::f16}) {
    for (const Level level : {Level::O1, Level::O2}) {
      INFO(name_of(type) << ", O" << static_cast<int>(level));
      Rig mixed = rig({type, level});
      mixed.trainer->run();
      const auto expected = exact.values(), values = mixed.values();
      // The arenas are laid out alike but for the alignment of their narrowest type: bias [1], weight [2].
      CHECK(std::abs(values[0] - expected[0]) < 0.02);
      CHECK(std::abs(values[32] - expected[16]) < 0.02);
      CHECK(std::abs(values[33] - expected[17]) < 0.02);
    }
  }
}

TEST_CASE("masters keep what rounding would lose, O3 has none") {
  for (const Level level : {Level::O1, Level::O3}) {
    Rig mixed = rig({DType::bf16, level});
    bool any_finer = false;
    each_step(mixed, [&](Trainer&, const StepReport&) {
      for (const auto& [name, p] : nn::parameters(mixed.model)) {
        const auto value = p->value().span<float>();
        for (size_t i = 0; i < value.size(); ++i) {
          any_finer = any_finer || value[i] != rounded(value[i]);
          if (p->var.value().dtype() != DType::bf16) continue;
          CHECK(static_cast<float>(p->var.value().data<bf16>()[i]) == rounded(value[i]));
        }
      }
    });
    mixed.trainer->run();
    CHECK(any_finer == (level == Level::O1));
  }
}

TEST_CASE("a step that overflows is skipped, and the scale is halved") {
  Rig mixed = rig({DType::f16, Level::O1}, {3});
  std::vector<double> scales;
  std::vector<int64_t> skipped;
  each_step(mixed, [&](Trainer& t, const StepReport& r) {
    scales.push_back(r.loss_scale);
    skipped.push_back(r.skipped);
    if (r.step == 9) t.stop();
  });
  mixed.trainer->run();  // sample 3 is in one step of each epoch of four: more than three in a row never fail
  CHECK(scales == std::vector<double>{65536, 32768, 32768, 32768, 32768, 16384, 16384, 16384, 16384});
  CHECK(skipped == std::vector<int64_t>{1, 1, 1, 1, 2, 2, 2, 2, 3});
  for (const float v : mixed.values()) CHECK(std::isfinite(v));
}

TEST_CASE("the scale gives up at its floor alone") {
  std::vector<int64_t> all(32);
  for (size_t i = 0; i < all.size(); ++i) all[i] = static_cast<int64_t>(i);
  Rig mixed = rig({DType::f16, Level::O1}, all);
  int64_t steps = 0;
  each_step(mixed, [&](Trainer&, const StepReport& r) { steps = r.step; });
  CHECK_THROWS_WITH(
      mixed.trainer->run(),
      ContainsSubstring("not finite for 3 steps in a row at loss scale 1, its least (19 steps skipped "
                        "in all); the input of row 0"));
  CHECK(steps == 16 + 3);  // 2^16 halves 16 times

  Rig without = rig({DType::bf16, Level::O1}, all);
  each_step(without, [&](Trainer&, const StepReport& r) { steps = r.step; });
  CHECK_THROWS_WITH(without.trainer->run(),
                    ContainsSubstring("3 steps in a row; the input") && !ContainsSubstring("loss scale"));
  CHECK(steps == 3);
}

TEST_CASE("loss scale: doubles after 2000 good steps, up to 2^24, and goes through a checkpoint") {
  LossScale scale(true);
  for (int i = 0; i < 1999; ++i) scale.update(true);
  CHECK(scale.value() == 0x1p16);
  checkpoint::Archive saved;
  saved("scale", scale);
  LossScale again(true);
  checkpoint::Archive loaded(saved.text(), "saved");
  loaded("scale", again);
  again.update(true);
  CHECK(again.value() == 0x1p17);
  scale.update(false);
  CHECK(scale.value() == 0x1p15);
  for (int i = 0; i < 2000 * 12; ++i) again.update(true);
  CHECK(again.value() == 0x1p24);

  LossScale off(false);
  off.update(false);
  CHECK(off.value() == 1);
  checkpoint::Archive other(saved.text(), "saved");
  other("scale", off);  // the run goes on in another precision
  CHECK(off.value() == 1);
}
