#include "apps/trainer-launch/program.h"

#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace trainer::launch {
namespace {

namespace fs = std::filesystem;

bool executable(const fs::path& path) {
  std::error_code ignored;
  return fs::is_regular_file(path, ignored) && ::access(path.c_str(), X_OK) == 0;
}

/// As a shell finds it; "" if there is none.
std::string find_in_path(const std::string& name) {
  const char* list = std::getenv("PATH");
  std::istringstream folders(list == nullptr ? "/usr/local/bin:/usr/bin:/bin" : list);
  for (std::string folder; std::getline(folders, folder, ':');) {
    const fs::path path = fs::path(folder.empty() ? "." : folder) / name;
    if (executable(path)) return path.string();
  }
  return "";
}

/// The trainer of the same build or installation.
std::string trainer_beside() {
  std::error_code ignored;
  return (fs::read_symlink("/proc/self/exe", ignored).parent_path() / "trainer").string();
}

std::string python() {
  if (const char* chosen = std::getenv("PYTHON_EXEC")) return chosen;  // as torchrun does
  for (const char* name : {"python3", "python"}) {
    if (std::string path = find_in_path(name); !path.empty()) return path;
  }
  fail(Exit::usage, "no python3 in PATH");
}

/// "#!" or an ELF file: something that the kernel can execute. Other text is for the shell, as in a shell.
bool needs_shell(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  char head[4]{};
  file.read(head, sizeof head);
  constexpr char elf[]{0x7f, 'E', 'L', 'F'};
  const std::string_view begin(head, static_cast<size_t>(file.gcount()));
  return !begin.starts_with("#!") && begin != std::string_view(elf, sizeof elf);
}

}  // namespace

Command command_of(const Options& options) {
  std::vector<std::string> words = options.program;
  const std::string first = words[0];
  if (first.starts_with("-")) {
    words.insert(words.begin(), "trainer");
    const std::string path = trainer_beside();
    check(Exit::usage, executable(path), "{}: the trainer that {} is for is not there", path, first);
    return {path, words};
  }
  if (options.module || (first.ends_with(".py") && !options.no_python)) {
    // -u: what a script prints is seen at once, although it prints into a pipe.
    if (options.module) words.insert(words.begin(), "-m");
    const std::string interpreter = python();
    words.insert(words.begin(), {interpreter, "-u"});  // by its path Python knows its virtual environment
    check(Exit::usage, options.module || ::access(first.c_str(), R_OK) == 0, "{}: cannot open the script",
          first);
    return {interpreter, words};
  }
  std::string path = first.find('/') == first.npos ? find_in_path(first) : first;
  if (path.empty() && first == "trainer") path = trainer_beside();
  std::error_code ignored;
  check(Exit::usage, !path.empty() && fs::exists(path, ignored), "{}: no such program", first);
  check(Exit::usage, executable(path), "{}: cannot be executed (permissions?)", first);
  if (needs_shell(path)) {
    words[0] = path;
    words.insert(words.begin(), "sh");
    path = "/bin/sh";
  }
  return {path, words};
}

}  // namespace trainer::launch
