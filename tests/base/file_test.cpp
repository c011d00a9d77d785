#include "lib/base/file.h"

#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <fstream>
#include <optional>

#include "tests/error_of.h"
#include "tests/temp_folder.h"

using namespace trainer;

namespace {

size_t entries_of(const fs::path& folder) {
  return static_cast<size_t>(std::distance(fs::directory_iterator(folder), fs::directory_iterator()));
}

/// Writes of this process fail beyond so many bytes, as on a full disk.
class FileSizeLimit {
 public:
  explicit FileSizeLimit(rlim_t bytes) {
    handler_ = std::signal(SIGXFSZ, SIG_IGN);
    ::getrlimit(RLIMIT_FSIZE, &before_);
    const rlimit now{bytes, before_.rlim_max};
    ::setrlimit(RLIMIT_FSIZE, &now);
  }
  ~FileSizeLimit() {
    ::setrlimit(RLIMIT_FSIZE, &before_);
    std::signal(SIGXFSZ, handler_);
  }

 private:
  rlimit before_{};
  void (*handler_)(int);
};

}  // namespace

TEST_CASE("read_file gives all bytes") {
  const TempFolder folder;
  std::string bytes(100'000, '\0');
  for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<char>(i * 31);
  for (const size_t size : {size_t{0}, size_t{1}, size_t{4096}, bytes.size()}) {
    std::ofstream(folder / "f", std::ios::binary) << bytes.substr(0, size);
    CHECK(read_file(folder / "f", Exit::data) == bytes.substr(0, size));
  }
  CHECK(!read_file("/proc/self/status", Exit::data).empty());  // its stat says 0 bytes
}

TEST_CASE("read_file names the path and the reason") {
  const TempFolder folder;
  const Error missing = thrown_by([&] { read_file(folder / "missing", Exit::data); });
  CHECK(missing.code() == Exit::data);
  CHECK(missing.what() == (folder / "missing").string() + ": cannot open: No such file or directory");
  CHECK_THAT(thrown_by([&] { read_file(folder.path(), Exit::usage); }).what(),
             ContainsSubstring("Is a directory"));

  std::ofstream(folder / "long") << "12345";
  CHECK(read_file(folder / "long", Exit::data, 5) == "12345");
  CHECK_THAT(thrown_by([&] { read_file(folder / "long", Exit::data, 4); }).what(),
             ContainsSubstring("longer than the 4 bytes"));
}

TEST_CASE("chunks are the file, front to back") {
  const TempFolder folder;
  std::string bytes(2'500'000, 0), read;
  for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<char>(i * 31 >> 3);
  const auto append = [&](std::span<const std::byte> part) {
    read.append(reinterpret_cast<const char*>(part.data()), part.size());
  };
  write_file_atomically(folder / "f", bytes, Exit::data);
  read_chunks(folder / "f", Exit::data, append);
  CHECK((read == bytes));
  write_file_atomically(folder / "empty", "", Exit::data);
  read_chunks(folder / "empty", Exit::data, [](auto) { FAIL("there is nothing"); });
  CHECK_THAT(thrown_by([&] { read_chunks(folder / "no", Exit::data, append); }).what(),
             ContainsSubstring("/no: cannot open: No such file or directory"));
  CHECK_THAT(thrown_by([&] { read_chunks(folder.path(), Exit::data, append); }).what(),
             ContainsSubstring("cannot read: Is a directory"));
}

TEST_CASE("a new file is new, and complete when it is finished") {
  const TempFolder folder;
  std::string bytes(3'500'000, 0);
  for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<char>(i * 29 >> 4);
  NewFile file(folder / "f", Exit::weights);
  file.write(std::string_view(bytes).substr(0, 7));
  file.write(std::string_view(bytes).substr(7));
  file.finish();
  CHECK((read_file(folder / "f", Exit::data) == bytes));
  CHECK_THROWS_AS(file.write("more"), Error);
  CHECK_THROWS_AS(file.finish(), Error);
  const Error e = thrown_by([&] { NewFile(folder / "f", Exit::weights); });
  CHECK(e.code() == Exit::weights);
  CHECK_THAT(e.what(), ContainsSubstring("/f: cannot write: File exists"));
}

TEST_CASE("an atomic file replaces the old one only by commit") {
  const TempFolder folder;
  const fs::path path = folder / "latest";
  write_file_atomically(path, "old", Exit::weights);
  CHECK(read_file(path, Exit::weights) == "old");
  {
    AtomicFile file(path, Exit::weights);
    file.write("half of the new");
    CHECK(read_file(path, Exit::weights) == "old");
    CHECK(entries_of(folder.path()) == 2);
  }
  CHECK(read_file(path, Exit::weights) == "old");
  CHECK(entries_of(folder.path()) == 1);  // no left-over

  AtomicFile file(path, Exit::weights);
  file.write("ne");
  file.write("w");
  file.commit();
  CHECK(read_file(path, Exit::weights) == "new");
  CHECK(entries_of(folder.path()) == 1);
  CHECK_THROWS_AS(file.write("more"), Error);
  CHECK_THROWS_AS(file.commit(), Error);
}

TEST_CASE("an atomic file has the permissions of any new file") {
  const TempFolder folder;
  const mode_t mask = ::umask(022);
  write_file_atomically(folder / "f", "", Exit::data);
  ::umask(mask);
  CHECK(fs::status(folder / "f").permissions() == static_cast<fs::perms>(0644));
}

TEST_CASE("a failed write keeps the old file and leaves nothing behind") {
  const TempFolder folder;
  const fs::path path = folder / "f";
  write_file_atomically(path, "old", Exit::weights);
  {
    const FileSizeLimit limit(1000);
    const Error e = thrown_by([&] { write_file_atomically(path, std::string(5000, 'x'), Exit::weights); });
    CHECK(e.code() == Exit::weights);
    CHECK(e.what() == path.string() + ": cannot write: File too large");
  }
  CHECK(read_file(path, Exit::weights) == "old");
  CHECK(entries_of(folder.path()) == 1);
}

TEST_CASE("an atomic file refuses what it must not replace") {
  const TempFolder folder;
  CHECK_THAT(thrown_by([&] { AtomicFile(folder.path(), Exit::usage); }).what(),
             ContainsSubstring("not a regular file"));
  CHECK_THAT(thrown_by([&] { AtomicFile("/dev/null", Exit::usage); }).what(),
             ContainsSubstring("not a regular file"));
  CHECK_THAT(thrown_by([&] { AtomicFile(folder / "no/such/f", Exit::usage); }).what(),
             ContainsSubstring("/no/such/f: cannot write: No such file or directory"));
}

TEST_CASE("an atomic file follows a link") {
  const TempFolder folder;
  fs::create_directory(folder / "data");
  write_file_atomically(folder / "data/f", "old", Exit::data);
  fs::create_symlink("data/f", folder / "link");
  write_file_atomically(folder / "link", "new", Exit::data);
  CHECK(fs::is_symlink(folder / "link"));
  CHECK(read_file(folder / "data/f", Exit::data) == "new");

  fs::create_symlink("data/not yet", folder / "dangling");
  write_file_atomically(folder / "dangling", "made", Exit::data);
  CHECK(read_file(folder / "data/not yet", Exit::data) == "made");
}

TEST_CASE("a mapped file shows the bytes and keeps writes to itself") {
  const TempFolder folder;
  write_file_atomically(folder / "f", "abc", Exit::data);
  MappedFile map(folder / "f", Exit::data);
  REQUIRE(map.bytes().size() == 3);
  CHECK(map.bytes()[1] == std::byte{'b'});
  map.bytes()[1] = std::byte{'X'};
  CHECK(read_file(folder / "f", Exit::data) == "abc");
}

TEST_CASE("mapping an empty, missing or special file") {
  const TempFolder folder;
  write_file_atomically(folder / "empty", "", Exit::data);
  CHECK(MappedFile(folder / "empty", Exit::data).bytes().empty());
  CHECK(thrown_by([&] { MappedFile(folder / "missing", Exit::data); }).code() == Exit::data);
  CHECK_THAT(thrown_by([&] { MappedFile(folder.path(), Exit::data); }).what(),
             ContainsSubstring("not a regular file"));
  CHECK_THROWS_AS(MappedFile("/dev/zero", Exit::data), Error);
}

TEST_CASE("a lock excludes others and names its holder") {
  const TempFolder folder;
  const fs::path path = folder / "lock";
  std::array<int, 2> ready{}, stop{};
  REQUIRE(::pipe(ready.data()) == 0);
  REQUIRE(::pipe(stop.data()) == 0);
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  char byte = 0;
  if (child == 0) {
    const FileLock lock(path);
    (void)!::write(ready[1], "r", 1);
    (void)!::read(stop[0], &byte, 1);
    ::_exit(0);  // not through the destructor: the kernel releases the lock of a dead process
  }
  REQUIRE(::read(ready[0], &byte, 1) == 1);
  const Error e = thrown_by([&] { const FileLock lock(path); });
  CHECK(e.code() == Exit::usage);
  CHECK_THAT(e.what(),
             ContainsSubstring(path.string() + ": locked by process " + std::to_string(child) + " on "));
  REQUIRE(::write(stop[1], "s", 1) == 1);
  REQUIRE(::waitpid(child, nullptr, 0) == child);
  for (const int fd : {ready[0], ready[1], stop[0], stop[1]}) ::close(fd);

  std::optional<FileLock> lock(std::in_place, path);
  CHECK_THROWS_AS(FileLock(path), Error);
  lock.reset();
  CHECK_NOTHROW(FileLock(path));
  CHECK_THAT(thrown_by([&] { FileLock(folder / "no/lock"); }).what(), ContainsSubstring("cannot lock"));
}
