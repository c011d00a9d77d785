// A library to preload that lets a program's file operations fail: the N-th call that changes files or opens
// them under a folder ends the process or gets an error.
//
//   FAULT_DIR=/tmp/x FAULT_AT=12 FAULT_KIND=kill LD_PRELOAD=libfaults.so program
//
//   kill       SIGKILL in place of the call; a write has written half of its bytes
//   powerloss  the same, and what no fsync has made durable is gone: bytes of files, names of new files,
//   renames EIO        the call fails ENOSPC     the disk is full from then on: calls that need space fail
//
// When the N-th call comes, "fault: N CALL PATH" goes to stderr.
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <string>
#include <vector>

namespace {

/// A file that was created under the folder, through descriptors of our own: they hold whatever it is
/// renamed to.
struct Created {
  int file, folder;
  std::string name;
  off_t durable_bytes = 0;
  bool durable_name = false;
};

struct Renamed {
  std::string from, to, replaced;  // `replaced`: what `to` held, if it was a file
  int folder;
  bool replaces;
};

struct Plan {
  std::string folder, kind;
  long at = 0;
  std::atomic<long> calls = 0;
  std::mutex mutex;
  std::vector<Created> created;
  std::vector<Renamed> renamed;  // since the folder's last fsync

  Plan() {
    const char *dir = std::getenv("FAULT_DIR"), *n = std::getenv("FAULT_AT"), *k = std::getenv("FAULT_KIND");
    if (dir == nullptr || n == nullptr || k == nullptr) return;
    folder = dir, at = std::atol(n), kind = k;
  }
};

Plan& plan() {
  static auto* the_plan = new Plan;  // used until the last instruction
  return *the_plan;
}

std::string path_of(int fd) {
  const std::string link = "/proc/self/fd/" + std::to_string(fd);
  char buffer[4096];
  const long n = ::syscall(SYS_readlink, link.c_str(), buffer, sizeof buffer);
  return n < 0 ? "" : std::string(buffer, static_cast<size_t>(n));
}

std::string path_of(int folder, const char* path) {
  if (path == nullptr || path[0] == '/' || folder == AT_FDCWD) return path == nullptr ? "" : path;
  return path_of(folder) + "/" + path;
}

bool same(int a, int b) {
  struct stat x {
  }, y{};
  return ::fstat(a, &x) == 0 && ::fstat(b, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

int folder_of(const std::string& path) {
  const std::string folder = path.substr(0, path.rfind('/'));
  return static_cast<int>(::syscall(SYS_openat, AT_FDCWD, folder.c_str(), O_PATH, 0));
}

void remember_new(int fd, const std::string& path) {
  if (plan().kind != "powerloss") return;
  const std::lock_guard lock(plan().mutex);
  plan().created.push_back(
      {static_cast<int>(::syscall(SYS_dup, fd)), folder_of(path), path.substr(path.rfind('/') + 1)});
}

void remember_rename(const char* from, const char* to) {
  if (plan().kind != "powerloss") return;
  Renamed r{from, to, "", folder_of(to), false};
  const int fd = static_cast<int>(::syscall(SYS_openat, AT_FDCWD, to, O_RDONLY, 0));
  char bytes[4096];
  const long n = ::syscall(SYS_read, fd, bytes, sizeof bytes);  // pointers are short
  if (n >= 0) r.replaces = true, r.replaced.assign(bytes, static_cast<size_t>(n));
  ::syscall(SYS_close, fd);
  const std::lock_guard lock(plan().mutex);
  plan().renamed.push_back(r);
}

void made_durable(int fd) {
  const std::lock_guard lock(plan().mutex);
  for (Created& c : plan().created) {
    struct stat info {};
    if (same(c.file, fd) && ::fstat(fd, &info) == 0) c.durable_bytes = info.st_size;
    if (same(c.folder, fd)) c.durable_name = true;
  }
  std::erase_if(plan().renamed, [fd](const Renamed& r) { return same(r.folder, fd); });
}

[[noreturn]] void die() {
  for (auto r = plan().renamed.rbegin(); r != plan().renamed.rend(); ++r) {
    ::syscall(SYS_rename, r->to.c_str(), r->from.c_str());
    if (!r->replaces) continue;
    const int fd = static_cast<int>(::syscall(SYS_openat, AT_FDCWD, r->to.c_str(), O_WRONLY | O_CREAT, 0666));
    ::syscall(SYS_write, fd, r->replaced.data(), r->replaced.size());
  }
  for (const Created& c : plan().created) {
    ::syscall(SYS_ftruncate, c.file, c.durable_bytes);
    if (!c.durable_name) ::syscall(SYS_unlinkat, c.folder, c.name.c_str(), 0);
  }
  ::syscall(SYS_kill, ::getpid(), SIGKILL);
  std::abort();
}

enum class Needs { nothing, space };

/// Counts a call; returns the errno that it has to fail with, or 0. `before_death` is what of it still
/// happens.
template <class F>
int fault(const char* call, const std::string& path, Needs needs, F&& before_death) {
  Plan& p = plan();
  if (p.at == 0 || path.compare(0, p.folder.size(), p.folder) != 0) return 0;
  const long n = ++p.calls;
  if (n == p.at) {
    const std::string line = "fault: " + std::to_string(n) + " " + call + " " + path + "\n";
    ::syscall(SYS_write, STDERR_FILENO, line.data(), line.size());
    if (p.kind == "EIO") return EIO;
    if (p.kind != "ENOSPC") {
      before_death();
      die();
    }
  }
  return n >= p.at && p.kind == "ENOSPC" && needs == Needs::space ? ENOSPC : 0;
}

int fault(const char* call, const std::string& path, Needs needs = Needs::nothing) {
  return fault(call, path, needs, [] {});
}

long failed(int error) {
  errno = error;
  return -1;
}

int open_at(int folder, const char* path, int flags, mode_t mode) {
  const std::string full = path_of(folder, path);
  const bool creates = (flags & O_CREAT) != 0;
  if (const int e = fault("open", full, creates ? Needs::space : Needs::nothing))
    return static_cast<int>(failed(e));
  const int fd = static_cast<int>(::syscall(SYS_openat, folder, path, flags, mode));
  if (fd >= 0 && creates && full.compare(0, plan().folder.size(), plan().folder) == 0) remember_new(fd, full);
  return fd;
}

mode_t mode_of(int flags, va_list arguments) {
  return (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(arguments, mode_t) : 0;
}

}  // namespace

extern "C" {

int open(const char* path, int flags, ...) {
  va_list arguments;
  va_start(arguments, flags);
  const mode_t mode = mode_of(flags, arguments);
  va_end(arguments);
  return open_at(AT_FDCWD, path, flags, mode);
}
int open64(const char* path, int flags, ...) __attribute__((alias("open")));

int openat(int folder, const char* path, int flags, ...) {
  va_list arguments;
  va_start(arguments, flags);
  const mode_t mode = mode_of(flags, arguments);
  va_end(arguments);
  return open_at(folder, path, flags, mode);
}
int openat64(int folder, const char* path, int flags, ...) __attribute__((alias("openat")));

ssize_t write(int fd, const void* bytes, size_t size) {
  const auto half = [&] { ::syscall(SYS_write, fd, bytes, size / 2); };
  if (const int e = fault("write", path_of(fd), Needs::space, half)) return failed(e);
  return ::syscall(SYS_write, fd, bytes, size);
}

int fsync(int fd) {
  if (const int e = fault("fsync", path_of(fd), Needs::space)) return static_cast<int>(failed(e));
  const long result = ::syscall(SYS_fsync, fd);
  if (result == 0) made_durable(fd);
  return static_cast<int>(result);
}

int sync_file_range(int fd, off64_t offset, off64_t size, unsigned flags) {
  if (const int e = fault("sync_file_range", path_of(fd))) return static_cast<int>(failed(e));
  return static_cast<int>(::syscall(SYS_sync_file_range, fd, offset, size, flags));
}

int close(int fd) {
  const int e = fault("close", path_of(fd));
  const long result = ::syscall(SYS_close, fd);
  return static_cast<int>(e != 0 ? failed(e) : result);
}

int rename(const char* from, const char* to) noexcept {
  if (const int e = fault("rename", from)) return static_cast<int>(failed(e));
  if (std::string(from).compare(0, plan().folder.size(), plan().folder) == 0) remember_rename(from, to);
  return static_cast<int>(::syscall(SYS_rename, from, to));
}

int mkdir(const char* path, mode_t mode) noexcept {
  if (const int e = fault("mkdir", path, Needs::space)) return static_cast<int>(failed(e));
  return static_cast<int>(::syscall(SYS_mkdir, path, mode));
}

int unlink(const char* path) noexcept {
  if (const int e = fault("unlink", path)) return static_cast<int>(failed(e));
  return static_cast<int>(::syscall(SYS_unlink, path));
}

int rmdir(const char* path) noexcept {
  if (const int e = fault("rmdir", path)) return static_cast<int>(failed(e));
  return static_cast<int>(::syscall(SYS_rmdir, path));
}

int unlinkat(int folder, const char* path, int flags) noexcept {
  if (const int e = fault("unlinkat", path_of(folder, path))) return static_cast<int>(failed(e));
  return static_cast<int>(::syscall(SYS_unlinkat, folder, path, flags));
}

}  // extern "C"
