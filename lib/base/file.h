// Files: whole or not at all. Every error is an Error that names the path and the system's reason.
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

namespace trainer {

namespace fs = std::filesystem;

/// The file's bytes. `code` is the exit code that a failure gets: it depends on what the file is for. Longer
/// files than `max_bytes` are refused.
std::string read_file(const fs::path&, Exit code, size_t max_bytes = SIZE_MAX);

/// Hands a file's bytes on front to back, in portions that stay in the processor's cache.
void read_portions(const fs::path&, Exit code, const std::function<void(std::span<const std::byte>)>&);

/// A file that did not exist before, written front to back. What is left when it is destroyed before finish()
/// is incomplete and the owner's to remove.
class NewFile {
 public:
  /// `name` is what messages call it, if that is not its path.
  NewFile(const fs::path&, Exit code, fs::path name = {});
  ~NewFile();
  NewFile(const NewFile&) = delete;
  NewFile& operator=(const NewFile&) = delete;

  /// Unbuffered. The disk is set to work while more is written, so that finish() has little to wait for.
  void write(std::span<const std::byte>);
  void write(std::string_view text) { write(std::as_bytes(std::span(text.data(), text.size()))); }
  /// fsync and close: the content is durable, the name is once the folder has been synced. Nothing may be
  /// written afterwards.
  void finish();

 private:
  fs::path name_;
  Exit code_;
  int fd_ = -1;
  int64_t size_ = 0, started_ = 0;  // bytes written; of those, handed to the disk
};

/// A file that appears under its name only when it is complete: written to a temporary neighbour, fsynced,
/// renamed. Without commit() the temporary is removed and an older file stays as it was. A symbolic link is
/// followed: what it points at is replaced. What exists and is no regular file is refused.
class AtomicFile {
 public:
  AtomicFile(fs::path, Exit code);
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  /// Unbuffered.
  void write(std::span<const std::byte> bytes) { file_->write(bytes); }
  void write(std::string_view text) { file_->write(text); }
  /// fsync, close, rename, fsync of the folder. Nothing may be written afterwards.
  void commit();

 private:
  fs::path path_, temporary_;
  Exit code_;
  std::optional<NewFile> file_;
};

void write_file_atomically(const fs::path&, std::string_view text, Exit code);

/// fsync of a folder: makes renames, creations and removals in it durable.
void sync_folder(const fs::path&, Exit code);

/// A private memory map of a whole regular file. Writing into it is possible and stays in this process (copy
/// on write), so that a tensor over it is as good as any other. The file must not shrink while it is mapped.
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
/// the holder's process if somebody else has it. The file stays behind: removing it would let two processes
/// hold "the" lock.
class FileLock {
 public:
  explicit FileLock(const fs::path&);
  ~FileLock();
  FileLock(const FileLock&) = delete;
  FileLock& operator=(const FileLock&) = delete;

 private:
  int fd_ = -1;
};

}  // namespace trainer
