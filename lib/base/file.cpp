#include "lib/base/file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <utility>
#include <vector>

#include "lib/base/system.h"

namespace trainer {
namespace {

/// "PATH: cannot ACTION: REASON", with the reason in errno.
[[noreturn]] void fail_errno(Exit code, const fs::path& path, std::string_view action) {
  const int reason = errno;
  fail(code, "{}: cannot {}: {}", path.string(), action, std::strerror(reason));
}

Fd open_file(const fs::path& path, int flags, Exit code, std::string_view action) {
  Fd fd(retry_eintr([&] { return ::open(path.c_str(), flags | O_CLOEXEC, 0666); }));
  if (!fd.valid()) fail_errno(code, path, action);
  return fd;
}

/// Reads to the end of the file, or a little past `max_bytes`. The size in stat is a hint only: pipes and
/// /proc have none.
std::string read_all(int fd, const fs::path& path, Exit code, size_t max_bytes) {
  struct stat info {};
  if (::fstat(fd, &info) != 0) fail_errno(code, path, "read");
  std::string bytes;
  if (S_ISREG(info.st_mode)) bytes.reserve(std::min(static_cast<size_t>(info.st_size), max_bytes) + 1);
  size_t size = 0;
  while (size <= max_bytes) {
    bytes.resize(std::max(bytes.capacity(), size + 4096));
    const ssize_t n = retry_eintr([&] { return ::read(fd, bytes.data() + size, bytes.size() - size); });
    if (n < 0) fail_errno(code, path, "read");
    if (n == 0) break;
    size += static_cast<size_t>(n);
  }
  bytes.resize(size);
  return bytes;
}

/// What a symbolic link leads to, whether that exists or not (std::filesystem::canonical wants it to).
fs::path follow_links(fs::path path, Exit code) {
  std::error_code error;
  for (int links = 0; fs::is_symlink(path, error); ++links) {
    check(code, links < 40, "{}: cannot write: too many symbolic links", path.string());
    const fs::path target = fs::read_symlink(path, error);
    check(code, !error, "{}: cannot follow the link: {}", path.string(), error.message());
    path = path.parent_path() / target;  // an absolute target replaces the left side
  }
  return path;
}

/// Unique among the processes of all hosts that may share the folder, and recognisable as left over.
fs::path temporary_beside(const fs::path& path) {
  static std::atomic<int> count = 0;
  const auto name =
      fmt::format(".{}.tmp-{}-{}-{}", path.filename().string(), host_name(), ::getpid(), ++count);
  return path.parent_path() / name;
}

}  // namespace

std::string read_file(const fs::path& path, Exit code, size_t max_bytes) {
  const Fd file = open_file(path, O_RDONLY, code, "open");
  std::string bytes = read_all(file.get(), path, code, max_bytes);
  check(code, bytes.size() <= max_bytes, "{}: longer than the {} bytes that are allowed", path.string(),
        max_bytes);
  return bytes;
}

void read_chunks(const fs::path& path, Exit code,
                 const std::function<void(std::span<const std::byte>)>& use) {
  const Fd file = open_file(path, O_RDONLY, code, "open");
  ::posix_fadvise(file.get(), 0, 0, POSIX_FADV_SEQUENTIAL);
  std::vector<std::byte> buffer(1 << 20);
  while (true) {
    const ssize_t n = retry_eintr([&] { return ::read(file.get(), buffer.data(), buffer.size()); });
    if (n < 0) fail_errno(code, path, "read");
    if (n == 0) return;
    use(std::span(buffer).first(static_cast<size_t>(n)));
  }
}

NewFile::NewFile(const fs::path& path, Exit code, fs::path name)
    : name_(name.empty() ? path : std::move(name)), code_(code) {
  fd_ = Fd(retry_eintr([&] { return ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666); }));
  if (!fd_.valid()) fail_errno(code, name_, "write");
}

void NewFile::write(std::span<const std::byte> bytes) {
  check(fd_.valid(), "{}: written to after finish()", name_.string());
  constexpr int64_t chunk = 1 << 20;
  while (!bytes.empty()) {
    const size_t part = std::min(bytes.size(), static_cast<size_t>(chunk));
    const ssize_t n = retry_eintr([&] { return ::write(fd_.get(), bytes.data(), part); });
    if (n < 0) fail_errno(code_, name_, "write");
    bytes = bytes.subspan(static_cast<size_t>(n));
    size_ += n;
    if (size_ - started_ < chunk) continue;
    // Only a hint: what it cannot do fsync will, and errors of the disk are fsync's to report.
    ::sync_file_range(fd_.get(), started_, size_ - started_, SYNC_FILE_RANGE_WRITE);
    started_ = size_;
  }
}

void NewFile::finish() {
  check(fd_.valid(), "{}: finish() was called twice", name_.string());
  if (retry_eintr([&] { return ::fsync(fd_.get()); }) != 0) fail_errno(code_, name_, "write");
  // Not repeated on EINTR: Linux has closed the descriptor even then.
  if (::close(fd_.release()) != 0 && errno != EINTR) fail_errno(code_, name_, "write");
}

AtomicFile::AtomicFile(fs::path path, Exit code) : path_(follow_links(std::move(path), code)), code_(code) {
  std::error_code error;
  const fs::file_status status = fs::status(path_, error);
  check(code, !fs::exists(status) || fs::is_regular_file(status), "{}: cannot write: not a regular file",
        path_.string());
  temporary_ = temporary_beside(path_);
  file_.emplace(temporary_, code, path_);
}

AtomicFile::~AtomicFile() {
  if (!temporary_.empty()) ::unlink(temporary_.c_str());
}

void AtomicFile::commit() {
  file_->finish();
  if (::rename(temporary_.c_str(), path_.c_str()) != 0) fail_errno(code_, path_, "write");
  temporary_.clear();
  sync_folder(path_.has_parent_path() ? path_.parent_path() : ".", code_);
}

void write_file_atomically(const fs::path& path, std::string_view text, Exit code) {
  AtomicFile file(path, code);
  file.write(text);
  file.commit();
}

void sync_folder(const fs::path& path, Exit code) {
  const Fd folder = open_file(path, O_RDONLY | O_DIRECTORY, code, "open");
  // EINVAL: a file system that cannot do this for folders, and then has nothing to be synced either.
  if (retry_eintr([&] { return ::fsync(folder.get()); }) != 0 && errno != EINVAL)
    fail_errno(code, path, "sync");
}

MappedFile::MappedFile(const fs::path& path, Exit code) : path_(path) {
  const Fd file = open_file(path, O_RDONLY, code, "open");
  struct stat info {};
  if (::fstat(file.get(), &info) != 0) fail_errno(code, path, "open");
  check(code, S_ISREG(info.st_mode), "{}: cannot map: not a regular file", path.string());
  size_ = static_cast<size_t>(info.st_size);
  if (size_ == 0) return;  // the kernel refuses empty maps
  // NORESERVE: a data set larger than memory may be mapped; only pages that are written need some.
  void* data = ::mmap(nullptr, size_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_NORESERVE, file.get(), 0);
  if (data == MAP_FAILED) fail_errno(code, path, "map");
  data_ = static_cast<std::byte*>(data);
}

MappedFile::~MappedFile() {
  if (data_ != nullptr) ::munmap(data_, size_);
}

FileLock::FileLock(const fs::path& path) {
  Fd file = open_file(path, O_RDWR | O_CREAT, Exit::usage, "lock");
  if (retry_eintr([&] { return ::flock(file.get(), LOCK_EX | LOCK_NB); }) != 0) {
    if (errno != EWOULDBLOCK) fail_errno(Exit::usage, path, "lock");
    std::string holder = read_all(file.get(), path, Exit::usage, 300);
    while (!holder.empty() && holder.back() == '\n') holder.pop_back();
    fail(Exit::usage, "{}: locked by {}", path.string(), holder.empty() ? "another process" : holder);
  }
  // For the message above only, so that a full disk is no reason to refuse.
  const std::string holder = fmt::format("process {} on {}\n", ::getpid(), host_name());
  if (::ftruncate(file.get(), 0) == 0) (void)!::pwrite(file.get(), holder.data(), holder.size(), 0);
  fd_ = std::move(file);
}

FileLock::~FileLock() { (void)!::ftruncate(fd_.get(), 0); }

}  // namespace trainer
