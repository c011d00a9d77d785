#include "lib/io/events.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <bit>
#include <cerrno>
#include <cstring>

#include "lib/base/crc32c.h"
#include "lib/base/log.h"

namespace trainer::io {
namespace {

namespace fs = std::filesystem;

// The wire format of protocol buffers: a key (field number and wire type), then the value.

void put_varint(std::string& out, uint64_t value) {
  for (; value >= 0x80; value >>= 7) out += static_cast<char>(value | 0x80);
  out += static_cast<char>(value);
}

enum class Wire : unsigned { varint = 0, fixed64 = 1, bytes = 2, fixed32 = 5 };

void put_key(std::string& out, unsigned field, Wire wire) {
  put_varint(out, field << 3 | static_cast<unsigned>(wire));
}

void put_bytes(std::string& out, unsigned field, std::string_view bytes) {
  put_key(out, field, Wire::bytes);
  put_varint(out, bytes.size());
  out += bytes;
}

template <class T>
void put_little_endian(std::string& out, T value) {
  for (size_t i = 0; i < sizeof value; ++i) out += static_cast<char>(value >> 8 * i);
}

/// Event{wall_time = 1, step = 2}; the caller appends what happened.
std::string event_at(double wall_time, int64_t step) {
  std::string event;
  put_key(event, 1, Wire::fixed64);
  put_little_endian(event, std::bit_cast<uint64_t>(wall_time));
  if (step != 0) {  // a default value is not written
    put_key(event, 2, Wire::varint);
    put_varint(event, static_cast<uint64_t>(step));
  }
  return event;
}

/// TFRecord's checksum: CRC-32C, rotated and offset, because a CRC of data that contains its CRC is
/// degenerate.
uint32_t masked_crc(std::string_view bytes) {
  const uint32_t crc = crc32c(std::as_bytes(std::span(bytes.data(), bytes.size())));
  return std::rotr(crc, 15) + 0xA282EAD8U;
}

int create(const fs::path& path) {
  return ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC, 0666);
}

constexpr size_t flush_bytes = size_t{64} << 10;

}  // namespace

EventFile::EventFile(const fs::path& folder, double wall_time) {
  std::error_code ignored;
  fs::create_directories(folder, ignored);  // if that fails, so does create()
  const std::string name = fmt::format("events.out.tfevents.{:010}.{}.{}", static_cast<int64_t>(wall_time),
                                       host_name(), ::getpid());
  path_ = folder / name;
  fd_ = create(path_);
  for (int n = 1; fd_ < 0 && errno == EEXIST; ++n) {  // a second file within a second
    path_ = folder / fmt::format("{}.{}", name, n);
    fd_ = create(path_);
  }
  if (fd_ < 0) {
    give_up(errno);
    path_.clear();
    return;
  }
  std::string event = event_at(wall_time, 0);
  put_bytes(event, 3, "brain.Event:2");  // file_version
  append(event);
  flush();
}

EventFile::~EventFile() {
  flush();
  if (fd_ >= 0) ::close(fd_);
}

void EventFile::scalar(std::string_view tag, int64_t step, double value, double wall_time) {
  std::string summary_value;  // Summary.Value{tag = 1, simple_value = 2}
  put_bytes(summary_value, 1, tag);
  put_key(summary_value, 2, Wire::fixed32);
  put_little_endian(summary_value, std::bit_cast<uint32_t>(static_cast<float>(value)));
  std::string summary;
  put_bytes(summary, 1, summary_value);
  std::string event = event_at(wall_time, step);
  put_bytes(event, 5, summary);
  append(event);
}

void EventFile::restarted_at(int64_t step, double wall_time) {
  std::string session_log;  // SessionLog{status = 1: START = 1}
  put_key(session_log, 1, Wire::varint);
  put_varint(session_log, 1);
  std::string event = event_at(wall_time, step);
  put_bytes(event, 7, session_log);
  append(event);
}

void EventFile::append(std::string_view event) {
  if (fd_ < 0) return;
  std::string length;
  put_little_endian(length, uint64_t{event.size()});
  pending_ += length;
  put_little_endian(pending_, masked_crc(length));
  pending_ += event;
  put_little_endian(pending_, masked_crc(event));
  if (pending_.size() >= flush_bytes) flush();
}

void EventFile::flush() {
  std::string_view rest = pending_;
  while (fd_ >= 0 && !rest.empty()) {
    const ssize_t n = ::write(fd_, rest.data(), rest.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return give_up(errno);  // readers stop at a half-written record, so nothing can follow it
    rest.remove_prefix(static_cast<size_t>(n));
  }
  pending_.clear();
}

void EventFile::give_up(int reason) {
  log::warn("{}: no more TensorBoard events: {}", path_.string(), std::strerror(reason));
  if (fd_ >= 0) ::close(fd_);
  fd_ = -1;
  pending_.clear();
}

}  // namespace trainer::io
