// OpenMP's own settings: they may take threads away, and nothing waits for those.
#include "tests/apps/program.h"

using namespace program;

TEST_CASE("a team of threads that OpenMP's environment makes smaller is trained with, not waited for") {
  // Large enough for several threads: oneDNN's gradients of filters would wait for the second one.
  const Words words{"--cfg",           TESTS_DIR "/../configs/digits/resnet18.yaml",
                    "--throughput",    "--seconds",
                    "0.001",           "--opts",
                    "THREADS",         "2",
                    "DATA.BATCH_SIZE", "8",
                    "DATA.IMG_SIZE",   "32"};
  for (const char* setting : {"OMP_THREAD_LIMIT=1", "OMP_DYNAMIC=true", "OMP_MAX_ACTIVE_LEVELS=0"}) {
    INFO(setting);
    const Outcome result = Process(command(words), {setting}).wait();
    INFO(result.err);
    CHECK(result.code == 0);
    const bool limited = std::string(setting) == "OMP_THREAD_LIMIT=1";
    CHECK((result.err.find("THREADS: 1 instead of 2") != std::string::npos) == limited);
  }
}
