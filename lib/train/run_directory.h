// A run directory, OUTPUT/MODEL.NAME/TAG: everything that a run leaves behind. docs/run-directory.md
// describes it for users.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>

#include "lib/base/file.h"

namespace trainer::train {

class RunDirectory {
 public:
  /// Creates the directory if need be, checks that it can be written, and locks it against other jobs. Throws
  /// Error(Exit::usage).
  explicit RunDirectory(const fs::path&);

  const fs::path& path() const { return path_; }
  fs::path file(std::string_view name) const { return path_ / name; }
  /// A run has begun here before.
  bool used() const { return used_; }
  /// The step of the newest saved weights, if there are any.
  std::optional<int64_t> latest_step() const;

  /// Writes config.yaml (the merged configuration) and derived.yaml (what was computed from it).
  void describe(const std::string& config, const std::map<std::string, std::string>& derived);

  /// checkpoints/step-00001200: where the weights of a step are kept.
  fs::path checkpoint(int64_t step) const;
  /// Points checkpoints/latest or checkpoints/best at a step, atomically.
  void point(std::string_view name, int64_t step);
  /// Removes a step's directory.
  void remove_checkpoint(int64_t step);

 private:
  fs::path path_;
  std::unique_ptr<FileLock> lock_;
  bool used_ = false;
};

}  // namespace trainer::train
