// A run directory, OUTPUT/MODEL.NAME/TAG: everything that a run leaves behind. docs/run-directory.md
// describes it for users.
#pragma once

#include <map>
#include <memory>
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
  /// Tells this run's files from others'; the same for as long as the directory lives.
  const std::string& id() const { return id_; }
  /// Writes config.yaml (the merged configuration) and derived.yaml (what was computed from it).
  void describe(const std::string& config, const std::map<std::string, std::string>& derived);

  /// Where step directories lie (lib/checkpoint/step_directory.h).
  fs::path checkpoints() const { return path_ / "checkpoints"; }

 private:
  fs::path path_;
  std::unique_ptr<FileLock> lock_;
  std::string id_;
  bool used_ = false;
};

}  // namespace trainer::train
