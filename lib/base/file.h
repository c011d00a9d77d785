// Reading, writing, mapping and locking files. What is written appears whole or not at all.
//
//   write_file_atomically("run/config.yaml", text, Exit::usage);
//   std::string text = read_file("run/config.yaml", Exit::usage);
//
// Every error is an Error that names the path and the system's reason, with the exit code that the caller
// gives: it depends on what the file is for.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "lib/base/error.h"
#include "lib/base/fd.h"

namespace trainer {

namespace fs = std::filesystem;

/// The file's bytes. A file longer than `max_bytes` is an error.
std::string read_file(const fs::path&, Exit code, size_t max_bytes = SIZE_MAX);

/// Calls `use` with the bytes of a file, front to back, in chunks that stay in the processor's cache.
void read_chunks(const fs::path&, Exit code, const std::function<void(std::span<const std::byte>)>&);

/// A new file, written front to back; it is an error if the file exists. Destroyed before finish() it leaves
/// an incomplete file behind, which the caller removes.
class NewFile {
 public:
  /// `name`: what messages call the file, if not by its path.
  NewFile(const fs::path&, Exit code, fs::path name = {});

  /// Unbuffered. Writing to the disk starts at once, so that finish() has little to wait for.
  void write(std::span<const std::byte>);
  void write(std::string_view text) { write(std::as_bytes(std::span(text.data(), text.size()))); }
  /// fsync and close. The content is durable then, the name only after sync_folder(). No write() may follow.
  void finish();

 private:
  fs::path name_;
  Exit code_;
  Fd fd_;
  int64_t size_ = 0, started_ = 0;  // bytes written; of those, on their way to the disk
};

/// A file that appears under its name only when it is complete: a temporary file beside it is written,
/// fsynced and renamed. Destroyed before commit() it changes nothing. A symbolic link is followed: its target
/// is replaced. A path that exists and is not a regular file is an error.
class AtomicFile {
 public:
  AtomicFile(fs::path, Exit code);
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  /// Unbuffered.
  void write(std::span<const std::byte> bytes) { file_->write(bytes); }
  void write(std::string_view text) { file_->write(text); }
  /// fsync, close, rename, fsync of the folder. No write() may follow.
  void commit();

 private:
  fs::path path_, temporary_;
  Exit code_;
  std::optional<NewFile> file_;
};

void write_file_atomically(const fs::path&, std::string_view text, Exit code);

/// fsync of a folder: makes renames, creations and removals in it durable.
void sync_folder(const fs::path&, Exit code);

/// A private memory map of a whole regular file: it can be written to, copy on write, which does not change
/// the file. The file must not shrink while it is mapped (SIGBUS).
class MappedFile {
 public:
  MappedFile(const fs::path&, Exit code);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;
  std::span<const std::byte> bytes() const { return {data_, size_}; }
  std::span<std::byte> bytes() { return {data_, size_}; }
  const fs::path& path() const { return path_; }

 private:
  fs::path path_;
  std::byte* data_ = nullptr;
  size_t size_ = 0;
};

/// An exclusive flock on `path` (created if needed), held until destruction. Throws Error(Exit::usage) naming
/// the process that holds it. The file is never removed: then two processes could hold locks on two files of
/// its name.
class FileLock {
 public:
  explicit FileLock(const fs::path&);
  ~FileLock();
  FileLock(const FileLock&) = delete;
  FileLock& operator=(const FileLock&) = delete;

 private:
  Fd fd_;
};

}  // namespace trainer
