// A save, interrupted or failing at each of its system calls (tests/checkpoint/faults).
#include <algorithm>
#include <cerrno>
#include <cstring>
#include <functional>

#include "lib/checkpoint/step_directory.h"
#include "lib/checkpoint/writer.h"
#include "tests/catch.h"
#include "tests/checkpoint/small_run.h"
#include "tests/support/process.h"

using namespace trainer;
using namespace trainer::checkpoint;

namespace {

bool is_valid(const fs::path& checkpoints, int64_t step) {
  const fs::path dir = checkpoints / step_name(step);
  if (!fs::exists(dir)) return false;
  try {
    return validate(dir).step == step;
  } catch (const Error&) {
    return false;
  }
}

std::vector<std::string> entries_of(const fs::path& folder) {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(folder)) names.push_back(entry.path().filename().string());
  std::sort(names.begin(), names.end());
  return names;
}

bool has_leftovers(const fs::path& folder) {
  const auto names = entries_of(folder);
  return std::any_of(names.begin(), names.end(),
                     [](const std::string& name) { return name.find(".tmp-") != name.npos; });
}

bool contains(const std::string& text, const std::string& part) { return text.find(part) != text.npos; }

void save(const fs::path& checkpoints, int64_t step, bool best = false) {
  SmallRun run(static_cast<uint64_t>(step));
  remove_leftovers(checkpoints, "run");
  Writer writer({.checkpoints = checkpoints, .run_id = "run", .keep = 2});
  writer.save({.step = step, .model = run.weights(), .state = run.state(), .state_json = "{}", .best = best});
  writer.wait();
}

/// Steps 1 (the best) and 2, to which a program adds step 3 and keeps one besides the best.
class Scene {
 public:
  explicit Scene(bool with_broken_3 = false) {
    save(original(), 1, true);
    save(original(), 2);
    if (!with_broken_3) return;
    save(original(), 3);
    fs::resize_file(original() / step_name(3) / "model.safetensors", 100);
    point(original(), "latest", 2);
  }

  /// Runs the program with a fault at call number `at`. Returns false once it has fewer calls.
  bool run(const std::string& kind, int at) {
    fs::remove_all(folder_ / "checkpoints");
    fs::copy(original(), folder_ / "checkpoints", fs::copy_options::recursive);
    outcome = Process({BINARY_DIR "/bin/checkpoint_save", checkpoints().string(), "3", "1"},
                      {"LD_PRELOAD=" BINARY_DIR "/lib/libfaults.so", "FAULT_DIR=" + checkpoints().string(),
                       "FAULT_AT=" + std::to_string(at), "FAULT_KIND=" + kind,
                       "ASAN_OPTIONS=verify_asan_link_order=0"})
                  .wait();
    const size_t line = outcome.err.find("fault: ");
    if (line == std::string::npos) return false;
    fault = outcome.err.substr(line, outcome.err.find('\n', line) - line);
    outcome.err.erase(line, fault.size() + 1);
    return true;
  }

  fs::path checkpoints() const { return folder_ / "checkpoints"; }
  Outcome outcome;
  std::string fault;

 private:
  fs::path original() const {
    fs::create_directory(folder_ / "original");
    return folder_ / "original";
  }
  TempFolder folder_;
};

/// Whatever has happened: the best is there, the newest that validates is the old or the new one, and no
/// directory has become half of one.
void check_intact(const fs::path& checkpoints, bool with_broken_3 = false) {
  CHECK(is_valid(checkpoints, 1));
  CHECK((is_valid(checkpoints, 2) || is_valid(checkpoints, 3)));
  for (const int64_t step : committed_steps(checkpoints))
    CHECK((is_valid(checkpoints, step) || (step == 3 && with_broken_3)));
  CHECK(pointed(checkpoints, "best") == 1);
  const auto latest = pointed(checkpoints, "latest");
  REQUIRE(latest);
  CHECK((*latest == 2 || is_valid(checkpoints, 3)));
}

/// The next run clears up and saves as if nothing had been.
void check_recovery(const fs::path& checkpoints) {
  remove_leftovers(checkpoints, "run");
  CHECK_FALSE(has_leftovers(checkpoints));
  save(checkpoints, 3);
  CHECK(newest_valid(checkpoints) == 3);
  CHECK(pointed(checkpoints, "latest") == 3);
  std::vector<std::string> names = entries_of(checkpoints);
  std::erase(names, step_name(2));  // gone if it was the third to be kept
  CHECK(names == std::vector<std::string>{"best", "latest", step_name(1), step_name(3)});
}

}  // namespace

TEST_CASE("a save that is killed at any system call leaves an intact checkpoint") {
  for (const bool with_broken_3 : {false, true}) {
    Scene scene(with_broken_3);
    for (const char* kind : {"kill", "powerloss"}) {
      int at = 1;
      for (; scene.run(kind, at); ++at) {
        INFO(kind << " at " << scene.fault);
        REQUIRE(scene.outcome.code == 128 + SIGKILL);
        check_intact(scene.checkpoints(), with_broken_3);
        check_recovery(scene.checkpoints());
      }
      CHECK(scene.outcome.code == 0);
      CHECK(at > 50);  // there was something to be killed at
      CHECK(newest_valid(scene.checkpoints()) == 3);
      CHECK(entries_of(scene.checkpoints()) ==
            std::vector<std::string>{"best", "latest", step_name(1), step_name(3)});
    }
  }
}

TEST_CASE("a save in which any system call fails says so and leaves what there was") {
  Scene scene;
  for (const auto& [kind, reason] : {std::pair("EIO", EIO), std::pair("ENOSPC", ENOSPC)}) {
    int failures = 0;
    for (int at = 1; scene.run(kind, at); ++at) {
      INFO(kind << " at " << scene.fault << ", exit " << scene.outcome.code << ": " << scene.outcome.err);
      const fs::path checkpoints = scene.checkpoints();
      check_intact(checkpoints);
      if (scene.outcome.code == 0) {  // a hint, or the removal of old ones
        CHECK(is_valid(checkpoints, 3));
        CHECK(pointed(checkpoints, "latest") == 3);
        CHECK((!has_leftovers(checkpoints) || contains(scene.outcome.err, "warning: ")));
      } else {
        ++failures;
        REQUIRE(scene.outcome.code == static_cast<int>(Exit::weights));
        CHECK(is_valid(checkpoints, 2));
        CHECK(contains(scene.outcome.err, "error: " + checkpoints.string()));
        CHECK(contains(scene.outcome.err, std::strerror(reason)));
        CHECK_FALSE(has_leftovers(checkpoints));
      }
      check_recovery(checkpoints);
    }
    CHECK(scene.outcome.code == 0);
    CHECK(failures > 50);
  }
}
