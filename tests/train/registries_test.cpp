// Adding a component is writing one file: the registries hold what the folders hold, and every configuration
// that comes with the program can be used.
#include <regex>
#include <set>

#include "lib/config/pending.h"
#include "lib/data/transform.h"
#include "lib/metrics/metric.h"
#include "lib/train/build.h"
#include "tests/catch.h"

using namespace trainer;

namespace {

const fs::path root = fs::path(TESTS_DIR).parent_path();
using Names = std::set<std::string>;

std::vector<fs::path> files(const fs::path& folder, const std::string& extension) {
  std::vector<fs::path> all;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    if (entry.path().extension() == extension) all.push_back(entry.path());
  }
  return all;
}

/// Names that a source file registers.
Names registered_in(const fs::path& file) {
  static const std::regex registration(R"(\.add<\w+>\(\s*"([^"]+)\")");
  const std::string text = read_file(file, Exit::internal);
  Names names;
  for (std::sregex_iterator m(text.begin(), text.end(), registration), end; m != end; ++m)
    names.insert((*m)[1]);
  return names;
}

Names registered_below(const std::string& folder) {
  Names all;
  for (const fs::path& file : files(root / "lib" / folder, ".cpp")) all.merge(registered_in(file));
  return all;
}

Names set_of(const std::vector<std::string>& names) { return {names.begin(), names.end()}; }

}  // namespace

TEST_CASE("registries hold what the folders hold") {
  CHECK(set_of(nn::models().names()) == registered_below("models"));
  CHECK(set_of(nn::losses().names()) == registered_below("nn/losses"));
  Names data = set_of(data::datasets().names());
  data.merge(set_of(data::transforms().names()));
  CHECK(data == registered_below("data"));
  CHECK(set_of(metrics::metrics().names()) == registered_below("metrics"));
  Names optim = set_of(optim::optimizers().names());
  optim.merge(set_of(optim::schedules().names()));
  CHECK(optim == registered_below("optim"));
}

TEST_CASE("every file of lib/models and lib/nn/losses registers something") {
  for (const char* folder : {"lib/models", "lib/nn/losses"}) {
    for (const fs::path& file : files(root / folder, ".cpp")) {
      INFO(file);
      CHECK_FALSE(registered_in(file).empty());
    }
  }
}

TEST_CASE("every configuration parses, binds and builds") {
  int count = 0;
  for (const fs::path& file : files(root / "configs", ".yaml")) {
    if (file.parent_path().filename() == "_base_") continue;
    INFO(file);
    ++count;
    config::Config config = config::Config::defaults();
    config.merge_file(file);
    config::check_pending(config);
    const train::Settings settings(config);
    const auto dataset = train::build_dataset(config, settings, data::Split::train);
    const auto comm = comm::make_comm({}, config.group("COMM"), World{});
    train::Training training(
        config, settings, train::build_loader(dataset, settings, data::Split::train, *comm), Device{}, *comm);
    CHECK(training.trainer->plan().total_steps > 0);
    CHECK(settings.train.warmup_epochs <= 1);
    CHECK(config.unread().empty());
  }
  CHECK(count >= 4);
}
