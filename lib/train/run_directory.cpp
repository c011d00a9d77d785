#include "lib/train/run_directory.h"

#include <unistd.h>

#include <cctype>
#include <random>
#include <system_error>

namespace trainer::train {

RunDirectory::RunDirectory(const fs::path& path) : path_(path) {
  std::error_code error;
  fs::create_directories(path_ / "checkpoints", error);
  check(Exit::usage, !error, "cannot create the run directory {}: {}", path_.string(), error.message());
  check(Exit::usage, ::access(path_.c_str(), W_OK) == 0, "cannot write into the run directory {}: {}",
        path_.string(), std::error_code(errno, std::generic_category()).message());
  lock_ = std::make_unique<FileLock>(path_ / ".lock");
  used_ = fs::exists(path_ / "config.yaml");
  const fs::path id = path_ / "checkpoints" / ".run";
  if (!fs::exists(id))
    write_file_atomically(id, fmt::format("{:08x}\n", std::random_device()()), Exit::usage);
  id_ = read_file(id, Exit::usage, 64);
  std::erase_if(id_, [](char c) { return !std::isalnum(static_cast<unsigned char>(c)); });
}

void RunDirectory::describe(const std::string& config, const std::map<std::string, std::string>& derived) {
  std::string text;
  for (const auto& [key, value] : derived) text += fmt::format("{}: {}\n", key, value);
  write_file_atomically(path_ / "config.yaml", config, Exit::usage);
  write_file_atomically(path_ / "derived.yaml", text, Exit::usage);
}

}  // namespace trainer::train
