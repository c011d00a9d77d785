// The corpus of hostile configurations, tests/config/fuzz: each file is named after what it tries, and lies in accepted or
// refused. tests/apps/corpus_test.cpp gives them to the program.
#include <chrono>
#include <regex>

#include "tests/config/fixture.h"
#include "tests/config/fuzz_input.h"

using namespace trainer;
using namespace trainer::config;
namespace fs = std::filesystem;

namespace {

std::string bytes_of(const fs::path& file) {
  std::ifstream in(file, std::ios::binary);
  REQUIRE(in);
  return {std::istreambuf_iterator<char>(in), {}};
}

}  // namespace

TEST_CASE("the corpus of hostile files: a value or an error with its place, in no time") {
  const Folder folder;
  const Config defaults = Config::defaults();
  // A place, or --opts, or what concerns the file as a whole.
  const std::regex place(
      R"((.*\.yaml:\d+:\d+|--opts pair \d+): [^]*|.*\.yaml: (the file is empty|the file is UTF-16)[^]*)");
  int count = 0;
  for (const char* kind : {"accepted", "refused"}) {
    for (const auto& entry : fs::directory_iterator(fs::path(TESTS_DIR) / "config" / "fuzz" / kind)) {
      INFO(kind << "/" << entry.path().filename());
      ++count;
      const std::string text = bytes_of(entry.path());
      const auto file = folder.write("a.yaml", text);
      const auto start = std::chrono::steady_clock::now();
      const std::string error = try_input(file, text, defaults);
      const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
      CHECK(seconds.count() < 1);
      INFO(error);
      CHECK(error.empty() == (std::string_view(kind) == "accepted"));
      CHECK(error.size() < 20'000);
      std::istringstream lines(error);
      for (std::string line; std::getline(lines, line);) {
        if (!line.starts_with("... and ")) CHECK(std::regex_match(line.substr(0, 300), place));
      }
    }
  }
  CHECK(count > 200);
}
