// A program that saves one checkpoint and ends: what fault_test.cpp lets go wrong.
//
//   checkpoint_save FOLDER STEP KEEP [best]
#include <cstdio>
#include <cstdlib>
#include <string_view>

#include "lib/base/log.h"
#include "lib/checkpoint/step_directory.h"
#include "lib/checkpoint/writer.h"
#include "tests/checkpoint/small_run.h"

int main(int argc, char** argv) {
  using namespace trainer;
  if (argc < 4) return 2;
  try {
    const int64_t step = std::atoll(argv[2]);
    SmallRun run(static_cast<uint64_t>(step));
    checkpoint::remove_leftovers(argv[1], "run");
    checkpoint::Writer writer({.checkpoints = argv[1], .run_id = "run", .keep = std::atoll(argv[3])});
    writer.save({.step = step,
                 .model = run.weights(),
                 .state = run.state(),
                 .state_json = "{}",
                 .best = argc > 4 && std::string_view(argv[4]) == "best"});
    writer.wait();
  } catch (const Error& e) {
    log::error("{}", e.what());
    return static_cast<int>(e.code());
  }
}
