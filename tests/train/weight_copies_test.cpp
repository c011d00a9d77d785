// How often steps and evaluations copy weights into the layouts of primitives, and that to keep the copies changes no bit.
#include "lib/backend/cpu/parallel.h"
#include "lib/tensor/constant_weights.h"
#include "lib/train/build.h"
#include "lib/train/evaluate.h"
#include "tests/catch.h"
#include "tests/train/rig.h"

using namespace trainer;
using namespace trainer::train;

namespace {

/// Forgets all copies whenever a layer is called.
class Forgetful final : public nn::Observer {
 public:
  void on_forward(nn::Module&, const Var&, const Var&) override { ConstantWeights::changed(); }
};

/// Steps of ResNet-18 on the digits in batches of 40, with an evaluation of nine batches after each.
struct Run final {
  static constexpr int64_t steps = 2;

  explicit Run(const std::string& more, bool keeps = true) : config(config::Config::defaults()) {
    std::vector<std::string> words;
    std::stringstream text(
        "MODEL.NAME resnet18 MODEL.STEM small MODEL.NUM_CLASSES 10 DATA.DATASET digits DATA.IMG_SIZE 8 "
        "DATA.BATCH_SIZE 40 DATA.NUM_WORKERS 0 AUG.ENABLE False TRAIN.LR_SCALING none "
        "TRAIN.WARMUP_EPOCHS 0 " +
        more);
    for (std::string word; text >> word;) words.push_back(word);
    config.merge_opts(words);
    const Settings s(config);
    const auto comm = alone();
    const auto loader = [&](data::Split split) {
      return build_loader(build_dataset(config, s, split), s, split, *comm);
    };
    Training training(config, s, loader(data::Split::train), {}, *comm);
    const auto validation = loader(data::Split::val);
    Forgetful forgetful;
    if (!keeps) training.trainer->context().observer = &forgetful;
    class Watch final : public Hook {
     public:
      Watch(Run& run, data::Loader& validation) : run_(run), validation_(validation) {}
      void on_step(Trainer& t, const StepReport& r) override {
        run_.by_step = copies();
        const Parts& parts = t.parts();
        run_.losses.push_back(r.loss);
        run_.losses.push_back(
            evaluate(parts.model, t.context(), parts.loss, {}, validation_, parts.comm)->loss);
        run_.by_evaluation = copies();
        run_.by_batch = one_batch(parts.model);
        if (r.step == steps) t.stop();
      }
      void on_boundary(Trainer&) override { copies(); }

     private:
      /// Since the last call.
      int64_t copies() {
        const int64_t now = ConstantWeights::copies_made();
        return now - std::exchange(before_, now);
      }
      int64_t one_batch(nn::Model& model) {
        const NoGrad no_grad;
        data::Batch batch;
        validation_.start(0);
        validation_.next(batch);
        model(Var(batch.input));
        return copies();
      }
      Run& run_;
      data::Loader& validation_;
      int64_t before_ = 0;
    };
    training.trainer->add(std::make_unique<Watch>(*this, *validation));
    training.trainer->run();
    const auto v = training.parameters->values().span<float>();
    values.assign(v.begin(), v.end());
  }

  config::Config config;
  int64_t by_step = 0, by_evaluation = 0, by_batch = 0;  // copies, the last time
  std::vector<double> losses;
  std::vector<float> values;
};

const std::string in_f32 = "AMP_ENABLE False ", in_bf16 = "AMP_ENABLE True AMP.DTYPE bf16 ";

}  // namespace

TEST_CASE("a step of four micro-batches copies as many weights as one of a single batch") {
  for (const std::string& precision : {in_f32, in_bf16}) {
    INFO(precision);
    const Run one(precision), four(precision + "TRAIN.ACCUMULATION_STEPS 4"),
        forgetful(precision + "TRAIN.ACCUMULATION_STEPS 4", false);
    CHECK(one.by_step > 10);
    CHECK(four.by_step == one.by_step);
    CHECK(forgetful.by_step == 4 * one.by_step);
  }
}

TEST_CASE("an evaluation copies each weight once") {
  for (const std::string& precision : {in_f32, in_bf16}) {
    INFO(precision);
    const Run run(precision), forgetful(precision, false);
    CHECK(run.by_batch > 5);
    CHECK(run.by_evaluation == run.by_batch);
    CHECK(forgetful.by_evaluation == 9 * run.by_batch);
  }
}

TEST_CASE("kept copies of weights change no bit, and none is used after an update") {
  for (const std::string& more :
       {in_f32 + "TRAIN.ACCUMULATION_STEPS 4", in_bf16 + "TRAIN.ACCUMULATION_STEPS 2",
        in_bf16 + "TRAIN.ACCUMULATION_STEPS 2 AMP_OPT_LEVEL O3",
        in_f32 + "TRAIN.ACCUMULATION_STEPS 2 DETERMINISTIC True"}) {
    INFO(more);
    cpu::set_deterministic(more.ends_with("DETERMINISTIC True"));
    const Run kept(more), forgetful(more, false);
    CHECK(kept.losses == forgetful.losses);
    CHECK(kept.values == forgetful.values);
    CHECK(std::ranges::all_of(kept.losses, [](double loss) { return std::isfinite(loss); }));
  }
  cpu::set_deterministic(false);
}
