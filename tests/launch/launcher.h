// The launcher as its users run it; the workers are small shell scripts.
#pragma once

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "lib/base/system.h"
#include "tests/catch.h"
#include "tests/support/process.h"

namespace launcher {

namespace fs = std::filesystem;
using Words = std::vector<std::string>;

inline Words command(const Words& words) {
  Words all{BINARY_DIR "/bin/trainer-launch"};
  all.insert(all.end(), words.begin(), words.end());
  return all;
}

/// trainer-launch FLAGS bash -c SCRIPT
inline Words shell(Words flags, const std::string& script) {
  flags.insert(flags.end(), {"--", "bash", "-c", script});
  return command(flags);
}

inline Outcome outcome_of(const Words& words, const Words& environment = {}) {
  return Process(words, environment).wait(30);
}

inline std::string text_of(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

inline int lines_of(const std::string& text) {
  return static_cast<int>(std::count(text.begin(), text.end(), '\n'));
}
inline int count(const std::string& text, const std::string& part) {
  int n = 0;
  for (size_t at = 0; (at = text.find(part, at)) != text.npos; at += part.size()) ++n;
  return n;
}

/// Waits until `done()`; fails the test after twenty seconds.
template <class F>
void await(F&& done) {
  for (const double end = trainer::now() + 20; !done();) {
    REQUIRE(trainer::now() < end);
    std::this_thread::sleep_for(std::chrono::milliseconds(3));
  }
}

/// The number in a file that a script writes (its pid, mostly).
inline int number_in(const fs::path& path) {
  await([&] { return text_of(path).ends_with("\n"); });
  return std::stoi(text_of(path));
}

inline bool alive(int pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
  std::string line;
  std::getline(file, line);
  const size_t name_end = line.rfind(')');
  return name_end != line.npos && line[name_end + 2] != 'Z' && line[name_end + 2] != 'X';
}

/// NAME=VALUE lines of a script's `env`.
inline std::string variable(const std::string& text, const std::string& name) {
  const size_t at = ("\n" + text).find("\n" + name + "=");
  if (at == text.npos) return "(unset)";
  const size_t begin = at + name.size() + 1;
  return text.substr(begin, text.find('\n', begin) - begin);
}

}  // namespace launcher
