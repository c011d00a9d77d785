#include "lib/train/run_directory.h"

#include <unistd.h>

#include <charconv>
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
}

std::optional<int64_t> RunDirectory::latest_step() const {
  const fs::path pointer = path_ / "checkpoints" / "latest";
  if (!fs::exists(pointer)) return std::nullopt;
  const std::string text = read_file(pointer, Exit::weights, 4096);
  constexpr std::string_view prefix = "step-";
  int64_t step = 0;
  if (!text.starts_with(prefix)) return std::nullopt;
  const auto [end, error] = std::from_chars(text.data() + prefix.size(), text.data() + text.size(), step);
  if (error != std::errc()) return std::nullopt;
  return step;
}

void RunDirectory::describe(const std::string& config, const std::map<std::string, std::string>& derived) {
  std::string text;
  for (const auto& [key, value] : derived) text += fmt::format("{}: {}\n", key, value);
  write_file_atomically(path_ / "config.yaml", config, Exit::usage);
  write_file_atomically(path_ / "derived.yaml", text, Exit::usage);
}

fs::path RunDirectory::checkpoint(int64_t step) const {
  return path_ / "checkpoints" / fmt::format("step-{:08}", step);
}

void RunDirectory::point(std::string_view name, int64_t step) {
  write_file_atomically(path_ / "checkpoints" / name, checkpoint(step).filename().string() + "\n",
                        Exit::weights);
}

void RunDirectory::remove_checkpoint(int64_t step) {
  std::error_code error;
  fs::remove_all(checkpoint(step), error);  // what cannot be removed only takes space
}

}  // namespace trainer::train
