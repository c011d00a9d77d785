// Training, evaluating, saving and going on with a device whose memory the host may not touch: everything but
// the kernels, which are ref's. So every number has to be that of ref, bit for bit.
#include <iterator>
#include <sstream>
#include <thread>

#include "lib/comm/local.h"
#include "tests/catch.h"
#include "tests/device/run.h"
#include "tests/temp_folder.h"

using namespace trainer;
using namespace trainer::fake;

namespace {

using Words = std::vector<std::string>;

Words words(const std::string& text) {
  std::stringstream stream(text);
  return {std::istream_iterator<std::string>(stream), {}};
}

Words operator+(Words a, const Words& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

/// A few steps with everything that a step can have.
const Words cnn = words(
    "MODEL.NAME cnn MODEL.CNN.WIDTHS [8,12,16] MODEL.NUM_CLASSES 10 MODEL.DROP_RATE 0.2 "
    "DATA.DATASET digits DATA.IMG_SIZE 8 DATA.BATCH_SIZE 16 DATA.NUM_WORKERS 0 AUG.ENABLE False "
    "TRAIN.LR_SCALING none TRAIN.BASE_LR 0.01 TRAIN.WARMUP_EPOCHS 0 TRAIN.MAX_STEPS 4 "
    "TRAIN.ACCUMULATION_STEPS 2 TRAIN.CLIP_GRAD 0.5");
const Words resnet18 = cnn + words(
                                 "MODEL.NAME resnet18 MODEL.STEM small MODEL.DROP_PATH_RATE 0.2 "
                                 "DATA.DATASET synthetic DATA.SYNTHETIC.VAL_SAMPLES 6 DATA.BATCH_SIZE 4 "
                                 "TRAIN.MAX_STEPS 2");

void require_same(const Result& got, const Result& expected) {
  REQUIRE(got.steps.size() == expected.steps.size());
  REQUIRE_FALSE(got.steps.empty());
  for (size_t i = 0; i < got.steps.size(); ++i) {
    CAPTURE(i);
    CHECK(std::isfinite(got.steps[i].loss));
    CHECK(got.steps[i].loss == expected.steps[i].loss);
    CHECK(got.steps[i].grad_norm == expected.steps[i].grad_norm);
  }
  REQUIRE(got.evaluation);
  REQUIRE(expected.evaluation);
  CHECK(got.evaluation->loss == expected.evaluation->loss);
  CHECK(got.evaluation->metrics == expected.evaluation->metrics);
  CHECK((got.model == expected.model));
  CHECK((got.state == expected.state));
}

}  // namespace

TEST_CASE("the digits CNN trains on a device as on ref") {
  load();
  const TempFolder folder;
  for (const std::string optimizer : {"sgd", "adamw"}) {
    CAPTURE(optimizer);
    const auto on = [&](const std::string& device) {
      return result_of({cnn + Words{"TRAIN.OPTIMIZER.NAME", optimizer, "DEVICE", device},
                        folder / (optimizer + "-" + device)});
    };
    const Result got = on("cuda:0");
    require_same(got, on("ref"));
    CHECK(got.growths == 0);
    CHECK(got.steps[0].grad_norm > 0.5);  // something is clipped
  }
}

TEST_CASE("ResNet-18 trains on a device as on ref") {
  load();
  const TempFolder folder;
  for (const std::string optimizer : {"sgd", "adamw"}) {
    CAPTURE(optimizer);
    const auto on = [&](const std::string& device) {
      return result_of({resnet18 + Words{"TRAIN.OPTIMIZER.NAME", optimizer, "DEVICE", device},
                        folder / (optimizer + "-" + device)});
    };
    require_same(on("cuda:1"), on("ref"));
  }
}

TEST_CASE("a run goes on on a device, and on another one, from a checkpoint") {
  load();
  const TempFolder folder;
  const Words opts = cnn + Words{"SAVE_STEPS", "1"};
  const Result whole = result_of({opts + Words{"DEVICE", "cuda:0"}, folder / "whole"});
  for (const std::string device : {"cuda:0", "cuda:1", "ref"}) {
    CAPTURE(device);
    const Result rest = result_of({opts + Words{"DEVICE", device}, folder / device,
                                   folder / "whole" / "checkpoints" / checkpoint::step_name(2)});
    REQUIRE(rest.steps.size() == 2);
    CHECK(rest.steps[1].loss == whole.steps[3].loss);
    CHECK((rest.model == whole.model));
    CHECK((rest.state == whole.state));
  }
}

TEST_CASE("ranks on devices of their own train as ranks on ref, with SyncBN as well") {
  load();
  const TempFolder folder;
  for (const std::string sync_bn : {"False", "True"}) {
    CAPTURE(sync_bn);
    const auto on = [&](const std::string& device) {
      comm::LocalHub hub(2, 60);
      std::vector<Result> results(2);
      const auto rank_main = [&](int rank) {
        const auto comm = hub.join(rank);
        results[static_cast<size_t>(rank)] =
            result_of({cnn + Words{"TRAIN.SYNC_BN", sync_bn, "DEVICE", device},
                       folder / fmt::format("{}-{}-{}", device, sync_bn, rank)},
                      *comm);
      };
      std::thread other(rank_main, 1);
      rank_main(0);
      other.join();
      return results;
    };
    const auto got = on("cuda"), expected = on("ref");
    for (size_t rank = 0; rank < 2; ++rank) require_same(got[rank], expected[rank]);
  }
}
