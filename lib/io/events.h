// TensorBoard event files: scalars over steps.
//
// A file is a sequence of TFRecords, each a serialized Event (tensorflow/core/util/event.proto), the first
// one saying "brain.Event:2". Files are only ever appended to, whole records at a time, so that a reader may
// follow the file while it is written and a torn end costs the last records only.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

#include "lib/base/system.h"

namespace trainer::io {

/// One new file events.out.tfevents.<seconds>.<host>.<pid>[.<n>] in `folder`. Curves are no reason to stop a
/// training: what goes wrong is logged as one warning, and after that the object takes scalars without
/// writing them.
class EventFile {
 public:
  /// Makes the folder and the file. `wall_time` is seconds since 1970.
  explicit EventFile(const std::filesystem::path& folder, double wall_time = trainer::wall_time());
  ~EventFile();
  EventFile(const EventFile&) = delete;
  EventFile& operator=(const EventFile&) = delete;

  void scalar(std::string_view tag, int64_t step, double value, double wall_time = trainer::wall_time());
  /// The run was taken up again: readers forget what older files hold for `step` and later.
  void restarted_at(int64_t step, double wall_time = trainer::wall_time());
  /// Hands what was buffered to the system. Called by the destructor, and by itself every 64 KiB.
  void flush();

  /// Empty if there is no file.
  const std::filesystem::path& path() const { return path_; }

 private:
  void append(std::string_view event);
  void give_up(int reason);  // an errno

  std::filesystem::path path_;
  int fd_ = -1;
  std::string pending_;  // whole records
};

}  // namespace trainer::io
