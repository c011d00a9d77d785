// Writer: saves checkpoints in a thread of its own. The training thread waits for a copy in memory only.
//
//   Writer writer({.checkpoints = run / "checkpoints", .run_id = id, .keep = 3});
//   writer.save({.step = 1200, .model = model_items(model), .state = optimizer_items(parameters, optimizer),
//                .state_json = archive.text()});
//   writer.wait();   // at the end: durable
#pragma once

#include <condition_variable>
#include <cstdint>
#include <exception>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "lib/checkpoint/snapshot.h"

namespace trainer::checkpoint {

struct WriterConfig {
  fs::path checkpoints = {};     ///< the folder of step directories; has to exist
  std::string run_id = {};       ///< see StepDirectory
  int64_t world_size = 1;        ///< for the manifest
  std::string config_hash = {};  ///< for the manifest
  int64_t keep = 3;              ///< SAVE_KEEP: see retain()
};

struct SaveRequest {
  int64_t step = 0;
  std::vector<Item> model = {};  ///< model.safetensors
  std::vector<Item> state = {};  ///< state.safetensors
  std::string state_json = {};   ///< state.json
  bool best = false;             ///< point `best` at it, too; `latest` always is
};

/// One save is in flight at most. What goes wrong in the thread is thrown by the next call, as
/// Error(Exit::weights) that names file and reason; older checkpoints are then as they were.
///
/// Calls come from one thread.
class Writer {
 public:
  explicit Writer(WriterConfig);
  /// Waits. An error that nobody has asked for is logged.
  ~Writer();
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;

  /// Gets the memory for copies of these items in the background, so that the first save is as quick as the
  /// others.
  void reserve(std::span<const Item> model, std::span<const Item> state);

  /// Waits for the save before, copies the items, and returns. The thread then writes the directory of the
  /// step, points `latest` and `best`, and removes what is not to be kept, in this order. A step whose
  /// directory is there and intact is not written again.
  void save(SaveRequest);

  /// Throws what has gone wrong since the last call, if anything; does not wait.
  void check_errors();
  /// Returns when everything is durable, or throws.
  void wait();

 private:
  void run();
  void start(std::function<void()> job);
  void write(const SaveRequest&);
  void rethrow();  // mutex_ held

  WriterConfig config_;
  Snapshot snapshot_;                 // belongs to whoever runs: the thread while there is a job
  std::optional<int64_t> committed_;  // the step that was written last; likewise

  std::mutex mutex_;
  std::condition_variable changed_;
  std::function<void()> job_;  // empty: idle
  std::exception_ptr error_;
  bool stopped_ = false;
  std::thread thread_;
};

}  // namespace trainer::checkpoint
