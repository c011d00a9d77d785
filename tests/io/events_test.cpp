#include "lib/io/events.h"

#include <sys/resource.h>
#include <unistd.h>

#include <csignal>
#include <cstring>
#include <limits>

#include "lib/base/file.h"
#include "lib/base/log.h"
#include "tests/catch.h"
#include "tests/temp_folder.h"

using namespace trainer;
using namespace trainer::io;

namespace {

std::string hex(std::string_view bytes) {
  std::string text;
  for (const char c : bytes) text += fmt::format("{:02x}", static_cast<unsigned char>(c));
  return text;
}

/// How many whole records a file holds; -1 if what follows them is torn.
int records_in(const std::string& bytes) {
  int count = 0;
  size_t at = 0;
  while (at < bytes.size()) {
    uint64_t length = 0;
    if (bytes.size() - at < 16) return -1;
    std::memcpy(&length, bytes.data() + at, sizeof length);
    if (bytes.size() - at - 16 < length) return -1;
    at += 16 + length;
    ++count;
  }
  return count;
}

}  // namespace

TEST_CASE("events: the bytes of a known sequence") {
  const TempFolder folder;
  {
    EventFile file(folder / "tb", 1700000000.5);
    CHECK(file.path().filename() ==
          fmt::format("events.out.tfevents.1700000000.{}.{}", host_name(), ::getpid()));
    file.scalar("train/loss", 300, 2.5, 1700000001.0);
    file.restarted_at(200, 1700000002.0);
    file.scalar("a", 0, -0.0, 1700000003.0);
  }
  const auto entry = *fs::directory_iterator(folder / "tb");
  // Written by tensorboard 2.21's RecordWriter from the same Event messages.
  CHECK(hex(read_file(entry.path(), Exit::internal)) ==
        "1800000000000000a37f4b220900002040fc54d9411a0d627261696e2e4576656e743a322b3531102100000000000000"
        "017becf60900004040fc54d94110ac022a130a110a0a747261696e2f6c6f73731500002040f66fe46b10000000000000"
        "0095fbfe180900008040fc54d94110c8013a0208017970fcd61500000000000000d6ab6b2b090000c040fc54d9412a0a"
        "0a080a016115000000800fb19e60");
}

TEST_CASE("events: negative steps and values that are no numbers keep the file readable") {
  const TempFolder folder;
  EventFile file(folder.path(), 1.0);
  file.scalar("x", -1, std::numeric_limits<double>::quiet_NaN());
  file.scalar("x", std::numeric_limits<int64_t>::max(), 1e300);
  file.scalar("", 2, 0);
  file.flush();
  CHECK(records_in(read_file(file.path(), Exit::internal)) == 4);
}

TEST_CASE("events: two files of one second get two names") {
  const TempFolder folder;
  const EventFile a(folder.path(), 5.0), b(folder.path(), 5.0);
  CHECK(b.path() == a.path().string() + ".1");
}

TEST_CASE("events: much is written without waiting for a flush, in whole records") {
  const TempFolder folder;
  EventFile file(folder.path(), 1.0);
  for (int i = 0; i < 10'000; ++i) file.scalar("some/longer/tag", i, i);
  const int early = records_in(read_file(file.path(), Exit::internal));
  CHECK(early > 5'000);
  CHECK(early < 10'001);
  file.flush();
  CHECK(records_in(read_file(file.path(), Exit::internal)) == 10'001);
}

TEST_CASE("events: what cannot be written is one warning and stops nothing") {
  const TempFolder folder;
  log::add_file(folder / "log");
  log::set_quiet(true);
  write_file_atomically(folder / "file", "", Exit::internal);
  {
    EventFile file(folder / "file");  // a file where the folder should be
    for (int i = 0; i < 3; ++i) file.scalar("x", i, i);
    file.flush();
  }
  const auto warnings = [&] {
    const std::string text = read_file(folder / "log", Exit::internal);
    int count = 0;
    for (size_t at = 0; (at = text.find("no more TensorBoard events", at)) != text.npos; ++at) ++count;
    return count;
  };
  CHECK(warnings() == 1);
  {
    EventFile file(folder / "tb");
    const auto handler = std::signal(SIGXFSZ, SIG_IGN);
    rlimit before{};
    ::getrlimit(RLIMIT_FSIZE, &before);
    const rlimit small{4096, before.rlim_max};
    ::setrlimit(RLIMIT_FSIZE, &small);  // as on a full disk
    for (int i = 0; i < 1000; ++i) {
      file.scalar("x", i, i);
      file.flush();
    }
    ::setrlimit(RLIMIT_FSIZE, &before);
    std::signal(SIGXFSZ, handler);
    CHECK(fs::file_size(file.path()) <= 4096);
  }
  CHECK(warnings() == 2);
  log::set_quiet(false);
  log::remove_file(folder / "log");
}
