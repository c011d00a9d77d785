// Step directories: CHECKPOINTS/step-00001200/, there whole or not at all.
//
//   StepDirectory step(checkpoints, 1200, run_id);
//   step.write("model.safetensors", model_items(model));
//   step.write("state.json", text);
//   step.commit(world_size, config_hash);
//   point(checkpoints, "latest", 1200);
//
// Files are written into step-00001200.tmp-RUN/ and made durable there, MANIFEST.json last; then the
// directory is renamed. So a directory of that name is complete unless something damaged it later, which its
// manifest shows. Removal goes the other way: rename, then delete.
//
// One process at a time writes in CHECKPOINTS (the run directory's lock sees to that). Errors are
// Error(Exit::weights) that name the file and the reason.
#pragma once

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "lib/checkpoint/items.h"
#include "lib/checkpoint/manifest.h"

namespace trainer::checkpoint {

/// "step-00001200"
std::string step_name(int64_t step);

/// A step's directory while it is being written.
class StepDirectory {
 public:
  /// `run_id` (letters, digits, '-' and '_') tells this run's leftovers from others'. Leftovers of the same
  /// name are removed.
  StepDirectory(const fs::path& checkpoints, int64_t step, std::string_view run_id);
  /// Without commit() nothing is left of it.
  ~StepDirectory();
  StepDirectory(const StepDirectory&) = delete;
  StepDirectory& operator=(const StepDirectory&) = delete;

  /// Where files are written until commit().
  const fs::path& path() const { return temporary_; }

  /// A durable file of the directory.
  void write(const std::string& name, std::string_view text);
  void write(const std::string& name, std::span<const Item> items);

  /// Writes the manifest and gives the directory its name. One that has this name already is replaced: the
  /// caller has found it broken (never an intact one).
  void commit(int64_t world_size, const std::string& config_hash);

 private:
  using Sink = std::function<void(std::span<const std::byte>)>;
  void write_file(const std::string& name, const std::function<void(const Sink&)>& content);

  fs::path checkpoints_, final_, temporary_, replaced_;
  Manifest manifest_;
  bool committed_ = false;
};

/// Steps that have a directory, ascending; whether it is intact only validate() knows.
std::vector<int64_t> committed_steps(const fs::path& checkpoints);

/// The newest step whose directory is intact. Broken ones are skipped with a warning that names path and
/// reason.
std::optional<int64_t> newest_valid(const fs::path& checkpoints);

/// Points CHECKPOINTS/NAME (`latest`, `best`), a text file with a directory's name, at a step, atomically.
void point(const fs::path& checkpoints, std::string_view name, int64_t step);
/// The step that it names; none if there is no such file. Throws if it names none.
std::optional<int64_t> pointed(const fs::path& checkpoints, std::string_view name);

/// Removes what killed processes of this run have left: temporary directories with its id, pointers that were
/// being replaced.
void remove_leftovers(const fs::path& checkpoints, std::string_view run_id);

/// Removes what is older than the newest `keep` directories, but never what `latest` or `best` points at. A
/// directory with files missing or too short does not count as one that is kept. What cannot be removed only
/// takes space: that is a warning.
void retain(const fs::path& checkpoints, int64_t keep, std::string_view run_id);

}  // namespace trainer::checkpoint
