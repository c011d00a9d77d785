// What a configuration costs: a file that sets every key, merged into the tree.
#include <algorithm>
#include <chrono>

#include "tests/config/fixture.h"

using namespace trainer;
using namespace trainer::config;

TEST_CASE("merging and freezing the whole tree takes less than two milliseconds", "[timing]") {
  const Folder folder;
  const Config defaults = Config::defaults();
  const auto file = folder.write("all.yaml", defaults.dump());
  const std::vector<std::string> opts{"TRAIN.BASE_LR", "1e-3", "MODEL.SWIN.DEPTHS", "[2, 2, 18, 2]"};
  std::vector<double> times;
  for (int i = 0; i < 100; ++i) {
    const auto start = std::chrono::steady_clock::now();
    Config config = Config::defaults();
    config.merge({.file = file, .opts = opts});
    config.freeze();
    times.push_back(
        std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count());
    CHECK(config.is_frozen());
  }
  std::sort(times.begin(), times.end());
  WARN(fmt::format("{} keys: least {:.2f} ms, median {:.2f} ms", defaults.keys().size(), times.front(),
                   times[times.size() / 2]));
  CHECK(times.front() < 2);  // the machine may be busy
}
