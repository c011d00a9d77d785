#include "lib/base/log.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <thread>
#include <vector>

#include "lib/base/file.h"
#include "lib/base/text.h"
#include "tests/error_of.h"
#include "tests/temp_folder.h"

using namespace trainer;

namespace {

/// Sends this process's stderr to a descriptor for a while.
class Redirect {
 public:
  explicit Redirect(int to) : saved_(::dup(STDERR_FILENO)) { ::dup2(to, STDERR_FILENO); }
  ~Redirect() {
    ::dup2(saved_, STDERR_FILENO);
    ::close(saved_);
  }

 private:
  int saved_;
};

template <class F>
std::string stderr_of(F&& f) {
  const TempFolder folder;
  const int file = ::open((folder / "stderr").c_str(), O_RDWR | O_CREAT, 0600);
  {
    const Redirect redirect(file);
    f();
  }
  ::close(file);
  return read_file(folder / "stderr", Exit::internal);
}

}  // namespace

TEST_CASE("terminal lines: plain for info, prefixed for warnings and errors, none for debug") {
  const std::string text = stderr_of([] {
    log::debug("hidden {}", 0);
    log::info("epoch {}", 1);
    log::warn("slow {}", "disk");
    log::error("no {{}}");
  });
  CHECK(text == "epoch 1\nwarning: slow disk\nerror: no {}\n");
}

TEST_CASE("a quiet terminal shows warnings and errors only") {
  const std::string text = stderr_of([] {
    log::set_quiet(true);
    log::info("hidden");
    log::warn("shown");
    log::set_quiet(false);
    log::info("shown again");
  });
  CHECK(text == "warning: shown\nshown again\n");
}

TEST_CASE("files get every line with a time stamp, at once, and keep what they had") {
  const TempFolder folder;
  const std::string path = folder / "log.txt";
  std::ofstream(path) << "earlier\n";
  stderr_of([&] {
    log::add_file(path);
    log::add_file(path);  // nothing is doubled
    log::set_quiet(true);
    log::debug("details");
    log::info("line");
    log::set_quiet(false);
    log::error("bad");
  });
  const std::string text = read_file(path, Exit::internal);
  CAPTURE(text);
  const std::string digit = "[0-9]", two = digit + digit;
  const std::string stamp = "[[]" + two + two + "-" + two + "-" + two + " " + two + ":" + two + ":" + two +
                            "." + two + digit + "] ";
  CHECK(glob_match(
      "earlier\n" + stamp + "[[]debug] details\n" + stamp + "[[]info] line\n" + stamp + "[[]error] bad\n",
      text));
  log::remove_file(path);
  log::remove_file(path);
  stderr_of([] { log::info("after"); });
  CHECK(read_file(path, Exit::internal) == text);
}

TEST_CASE("a log file that cannot be opened is an error of usage that names it") {
  CHECK_THAT(error_of([] { log::add_file("/proc/no/log.txt"); }, Exit::usage),
             ContainsSubstring("/proc/no/log.txt"));
}

TEST_CASE("a log file on a full disk is reported once and stops nothing") {
  const std::string text = stderr_of([] {
    log::add_file("/dev/full");
    for (int i = 0; i < 3; ++i) log::info("{}", std::string(10'000, 'x'));
    log::remove_file("/dev/full");
    log::info("done");
  });
  CHECK_THAT(text, ContainsSubstring("done\n"));
  const size_t first = text.find("warning: the log is incomplete");
  if (first != text.npos) CHECK(text.find("incomplete", first + 30) == text.npos);
}

TEST_CASE("a closed stderr does not stop logging") {
  const int saved = ::dup(STDERR_FILENO);
  ::close(STDERR_FILENO);
  log::info("nobody reads this");
  ::dup2(saved, STDERR_FILENO);
  ::close(saved);
}

TEST_CASE("what draws on the terminal is erased before a line and redrawn after it") {
  struct Bar final : log::Overlay {
    void erase() override { (void)!::write(STDERR_FILENO, "<", 1); }
    void redraw() override { (void)!::write(STDERR_FILENO, ">", 1); }
  } bar;
  const std::string text = stderr_of([&] {
    log::set_overlay(&bar);
    log::info("a");
    log::debug("not on the terminal");
    log::set_overlay(nullptr);
    log::info("b");
  });
  CHECK(text == "<a\n>b\n");
}

TEST_CASE("prefixes are coloured on a terminal") {
  const int terminal = ::posix_openpt(O_RDWR | O_NOCTTY);
  if (terminal < 0 || ::grantpt(terminal) != 0 || ::unlockpt(terminal) != 0)
    return;  // no pseudo terminals here
  const int slave = ::open(::ptsname(terminal), O_RDWR | O_NOCTTY);
  REQUIRE(slave >= 0);
  const char* term = std::getenv("TERM");
  const std::string before = term == nullptr ? "" : term;
  ::setenv("TERM", "xterm", 1);
  ::unsetenv("NO_COLOR");
  {
    const Redirect redirect(slave);
    log::warn("w");
    ::setenv("NO_COLOR", "1", 1);
    log::warn("w");
    ::unsetenv("NO_COLOR");
  }
  ::setenv("TERM", before.c_str(), 1);
  std::string text;
  while (std::count(text.begin(), text.end(), '\n') <
         2) {  // a terminal hands out what it has, a line or both
    char buffer[200];
    const ssize_t n = ::read(terminal, buffer, sizeof buffer);
    REQUIRE(n > 0);
    text.append(buffer, static_cast<size_t>(n));
  }
  CHECK(text == "\x1b[1;33mwarning:\x1b[0m w\r\nwarning: w\r\n");
  ::close(slave);
  ::close(terminal);
}

TEST_CASE("lines of several threads do not mix") {
  constexpr int threads = 4, lines = 200;
  const std::string text = stderr_of([] {
    std::vector<std::thread> writers;
    for (int t = 0; t < threads; ++t) {
      writers.emplace_back([t] {
        for (int i = 0; i < lines; ++i) log::info("{}", std::string(50, static_cast<char>('a' + t)));
      });
    }
    for (std::thread& writer : writers) writer.join();
  });
  for (size_t line = 0; line < text.size(); line += 51) {
    REQUIRE(text.substr(line, 51) == std::string(50, text[line]) + "\n");
  }
  CHECK(text.size() == size_t{threads} * lines * 51);
}
