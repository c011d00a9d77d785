#include "lib/base/board.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <fstream>
#include <thread>

#include "tests/catch.h"
#include "tests/temp_folder.h"

using namespace trainer;

namespace {

/// Runs `f` in a process of its own, because a process has one slot.
template <class F>
pid_t in_child(F&& f) {
  const pid_t pid = ::fork();
  if (pid == 0) {
    try {
      f();
      ::_exit(0);
    } catch (...) {
      ::_exit(1);
    }
  }
  return pid;
}

int status_of(pid_t pid) {
  int status = -1;
  ::waitpid(pid, &status, 0);
  return status;
}

}  // namespace

TEST_CASE("board: what processes write is read by others") {
  const TempFolder folder;
  const std::string path = folder / "board";
  board::enter(board::Phase::data, 1);  // without an open board nothing happens
  board::begin_collective(1, "x");
  board::end_collective();
  CHECK(board::read().empty());

  board::create(path, 3, 4);
  auto entries = board::read(path);
  REQUIRE(entries.size() == 3);
  CHECK(entries[2].rank == 6);
  CHECK(entries[0].pid == 0);
  CHECK(board::describe(entries[0]) == "rank 4 has not started yet");

  const pid_t a = in_child([&] {
    board::open(path, 0);
    board::enter(board::Phase::step, 812);
    board::begin_collective(4410, "all_reduce gradients[3] f32 [6553600]");
    if (board::read().size() != 3) throw 1;
  });
  const pid_t b = in_child([&] {
    board::open(path, 2);
    board::enter(board::Phase::step, 812);
    board::begin_collective(4409, std::string(300, 'x'));
    board::end_collective();
    board::enter(board::Phase::data, 813);
  });
  CHECK(status_of(a) == 0);
  CHECK(status_of(b) == 0);
  entries = board::read(path);
  CHECK(entries[0].pid == a);
  CHECK(entries[0].in_collective);
  CHECK_THAT(board::describe(entries[0]),
             ContainsSubstring("rank 4 is at step 812") &&
                 ContainsSubstring("waiting in #4410 all_reduce gradients[3] f32 [6553600] for"));
  CHECK(entries[2].step == 813);
  CHECK(entries[2].collective == std::string(119, 'x'));
  CHECK_THAT(board::describe(entries[2]), ContainsSubstring("rank 6 is at step 813 in data loading") &&
                                              ContainsSubstring("#4409 ") &&
                                              ContainsSubstring("(not waiting)"));
  CHECK(entries[2].seconds >= 0);
  CHECK(entries[2].seconds < 60);
}

TEST_CASE("board: a file that is not a board, and a slot that it does not have, are errors") {
  const TempFolder folder;
  const std::string path = folder / "board", text = folder / "text";
  CHECK(board::read(path).empty());
  std::ofstream(text) << std::string(5000, 'x');
  CHECK(board::read(text).empty());
  CHECK_THROWS_AS(board::open(text, 0), Error);
  CHECK_THROWS_AS(board::open(path, 0), Error);
  board::create(path, 2, 0);
  CHECK_THROWS_AS(board::create(path, 2, 0), Error);
  CHECK_THROWS_AS(board::open(path, 2), Error);
  CHECK_THROWS_AS(board::open(path, -1), Error);
  std::filesystem::resize_file(path, 100);
  CHECK(board::read(path).empty());
}

TEST_CASE("board: notes are never torn, even those of a writer that is stopped in the middle") {
  const TempFolder folder;
  const std::string path = folder / "board";
  board::create(path, 1, 0);
  const pid_t writer = in_child([&] {
    board::open(path, 0);
    for (uint64_t i = 1;; ++i) {
      board::begin_collective(i, std::string(100, static_cast<char>('a' + i % 26)));
    }
  });
  while (board::read(path)[0].sequence == 0) std::this_thread::yield();
  const auto whole = [](const board::Entry& e) {
    return e.collective == std::string(100, static_cast<char>('a' + e.sequence % 26));
  };
  int torn = 0;
  for (int i = 0; i < 20000; ++i) torn += !whole(board::read(path)[0]);
  CHECK(torn == 0);
  for (int i = 0; i < 200; ++i) {
    ::kill(writer, SIGSTOP);
    int status = 0;
    ::waitpid(writer, &status, WUNTRACED);
    torn += !whole(board::read(path)[0]);
    ::kill(writer, SIGCONT);
    std::this_thread::sleep_for(std::chrono::microseconds(i * 3));
  }
  CHECK(torn == 0);
  ::kill(writer, SIGKILL);
  status_of(writer);
}
