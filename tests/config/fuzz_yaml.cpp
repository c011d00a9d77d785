// libFuzzer's target for configuration files and --opts (CONTRIBUTING.md): reading, merging into the tree of all keys,
// dumping and merging again. What it finds goes, made small, into tests/config/fuzz.
#include <unistd.h>

#include <cstdint>

#include "tests/config/fuzz_input.h"

// NOLINTNEXTLINE: libFuzzer's name
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace trainer::config;
  static const std::filesystem::path folder = [] {
    const std::filesystem::path memory = "/dev/shm";
    const bool there = std::filesystem::is_directory(memory);
    const auto path = (there ? memory : std::filesystem::temp_directory_path()) /
                      ("fuzz_yaml-" + std::to_string(::getpid()));
    std::filesystem::create_directories(path);
    return path;
  }();
  static const Config defaults = Config::defaults();
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto file = folder / "a.yaml";
  std::ofstream(file, std::ios::binary) << text;
  try_input(file, text, defaults);  // what it throws ends the process, with the input beside it
  return 0;
}
