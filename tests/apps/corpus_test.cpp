// The program on the corpus of hostile configurations (tests/config/fuzz): what tests/config/fuzz_test.cpp asks of
// lib/config, and how much memory and time the whole process takes.
#include <chrono>

#include "tests/apps/program.h"
#include "tests/config/fuzz_input.h"

using namespace program;

TEST_CASE("hostile configurations cost the program less than a second and 100 MB") {
  int count = 0;
  for (const char* kind : {"accepted", "refused"}) {
    for (const auto& entry : fs::directory_iterator(fs::path(TESTS_DIR) / "config" / "fuzz" / kind)) {
      INFO(kind << "/" << entry.path().filename());
      ++count;
      Words words{"--cfg", entry.path().string(), "--dump-config", "--opts"};
      for (const std::string& word : trainer::config::fuzz_opts(text_of(entry.path()))) words.push_back(word);
      const auto start = std::chrono::steady_clock::now();
      const Outcome result = outcome_of(words);
      [[maybe_unused]] const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
      INFO(result.err.substr(0, 500));
      CHECK(result.code == (std::string_view(kind) == "accepted" ? 0 : static_cast<int>(Exit::usage)));
      CHECK(result.out.empty() == result.err.starts_with("error: "));
#ifndef TRAINER_SANITIZED
      CHECK(seconds.count() < 1);
      CHECK(result.peak_bytes < 100 << 20);
#endif
    }
  }
  CHECK(count > 200);
}
