// Writing TensorBoard event files: scalars over steps.
//
//   io::EventFile events("run/tb");
//   events.scalar("train/loss", step, 0.25);
//
// A file is a sequence of TFRecords, each a serialized Event (tensorflow/core/util/event.proto); the first
// has the version "brain.Event:2". Whole records are appended, so a reader may follow the file while it is
// written, and a truncated file loses its last records only.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

#include "lib/base/system.h"

namespace trainer::io {

/// A new file events.out.tfevents.<seconds>.<host>.<pid>[.<n>] in `folder`. Nothing here throws: the first
/// error is logged as a warning, and all further scalars are discarded. To be used by one thread at a time.
class EventFile {
 public:
  /// Creates the folder and the file. `wall_time` is seconds since 1970.
  explicit EventFile(const std::filesystem::path& folder, double wall_time = trainer::wall_time());
  ~EventFile();
  EventFile(const EventFile&) = delete;
  EventFile& operator=(const EventFile&) = delete;

  void scalar(std::string_view tag, int64_t step, double value, double wall_time = trainer::wall_time());
  /// The run was resumed at `step`: readers drop what older files have for it and later steps.
  void restarted_at(int64_t step, double wall_time = trainer::wall_time());
  /// Writes what is buffered. Done by the destructor and every 64 KiB as well.
  void flush();

  /// Empty if the file could not be created.
  const std::filesystem::path& path() const { return path_; }

 private:
  void append(std::string_view event);
  void give_up(int reason);  // an errno

  std::filesystem::path path_;
  int fd_ = -1;
  std::string pending_;  // whole records
};

}  // namespace trainer::io
