#include "lib/train/run_directory.h"

#include <unistd.h>

#include <fstream>
#include <random>
#include <system_error>

namespace trainer::train {
namespace {

/// The word in a file; a new one if there is none yet. Not an AtomicFile, which a kill would leave behind: a
/// file without a word is none.
std::string read_id(const fs::path& file) {
  std::string id;
  std::ifstream(file) >> id;
  if (!id.empty()) return id;
  id = fmt::format("{:08x}", std::random_device()());
  std::ofstream out(file, std::ios::trunc);
  out << id << std::endl;
  check(Exit::usage, out.good(), "cannot write {}", file.string());
  return id;
}

}  // namespace

RunDirectory::RunDirectory(const fs::path& path) : path_(path) {
  std::error_code error;
  fs::create_directories(path_ / "checkpoints", error);
  check(Exit::usage, !error, "cannot create the run directory {}: {}", path_.string(), error.message());
  check(Exit::usage, ::access(path_.c_str(), W_OK) == 0, "cannot write into the run directory {}: {}",
        path_.string(), std::error_code(errno, std::generic_category()).message());
  lock_ = std::make_unique<FileLock>(path_ / ".lock");
  used_ = fs::exists(path_ / "config.yaml");
  id_ = read_id(path_ / "checkpoints" / ".run");
}

void RunDirectory::describe(const std::string& config, const std::map<std::string, std::string>& derived) {
  std::string text;
  for (const auto& [key, value] : derived) text += fmt::format("{}: {}\n", key, value);
  write_file_atomically(path_ / "config.yaml", config, Exit::usage);
  write_file_atomically(path_ / "derived.yaml", text, Exit::usage);
}

}  // namespace trainer::train
