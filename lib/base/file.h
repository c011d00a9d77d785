// Files: whole or not at all. Every error is an Error that names the path and the system's reason.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>

#include "lib/base/error.h"

namespace trainer {

namespace fs = std::filesystem;

/// The file's bytes. `code` is the exit code that a failure gets: it depends on what the file is for.
std::string read_file(const fs::path&, Exit code, size_t max_bytes = SIZE_MAX);

/// A file that appears under its name only when it is complete: written to a temporary neighbour, fsynced,
/// renamed. Without commit() the temporary is removed and an older file stays as it was.
class AtomicFile {
 public:
  AtomicFile(fs::path, Exit code);
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  void write(std::span<const std::byte>);
  void write(std::string_view text) { write(std::as_bytes(std::span(text.data(), text.size()))); }
  /// fsync, close, rename, fsync of the folder.
  void commit();

 private:
  fs::path path_, temporary_;
  Exit code_;
  int fd_ = -1;
};

void write_file_atomically(const fs::path&, std::string_view text, Exit code);

/// A read-only memory map of a whole file.
class MappedFile {
 public:
  MappedFile(const fs::path&, Exit code);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;
  std::span<const std::byte> bytes() const { return {data_, size_}; }
  const fs::path& path() const { return path_; }

 private:
  fs::path path_;
  const std::byte* data_ = nullptr;
  size_t size_ = 0;
};

/// An exclusive flock on `path` (created if needed), held until destruction. Throws Error(Exit::usage) naming the
/// holder's process if somebody else has it.
class FileLock {
 public:
  explicit FileLock(const fs::path&);
  ~FileLock();
  FileLock(const FileLock&) = delete;
  FileLock& operator=(const FileLock&) = delete;

 private:
  int fd_;
};

}  // namespace trainer
