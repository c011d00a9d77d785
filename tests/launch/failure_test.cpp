// What happens when something fails, or is told to end.
#include <fmt/core.h>

#include <tuple>

#include "lib/base/board.h"
#include "tests/launch/launcher.h"

using namespace launcher;

namespace {

/// A script that writes its pid to FOLDER/<rank> and then runs `rest`.
std::string with_pid(const TempFolder& folder, const std::string& rest) {
  return "echo $$ > " + folder.path().string() + "/$RANK; " + rest;
}

/// Workers that never end by themselves, and whose children hold their pipes.
const std::string forever = "while :; do sleep 1000; done";

std::vector<int> pids(const TempFolder& folder, int ranks) {
  std::vector<int> all;
  for (int rank = 0; rank < ranks; ++rank) all.push_back(number_in(folder / std::to_string(rank)));
  return all;
}

bool any_alive(const std::vector<int>& all) { return std::any_of(all.begin(), all.end(), alive); }

std::string first_line(const std::string& text) { return text.substr(0, text.find('\n')); }

}  // namespace

TEST_CASE("failure: a rank that is killed ends the run within two seconds, and is named", "[timing]") {
  const TempFolder folder;
  // The others are deaf to SIGTERM, as they are in a collective.
  Process process(shell({"--nproc_per_node=4"},
                        with_pid(folder, "trap '' TERM; echo its last words $RANK >&2; " + forever)));
  const auto workers = pids(folder, 4);
  await([&] { return count(process.err(), "its last words") == 4; });
  const size_t before = process.err().size();
  const double begin = trainer::now();
  ::kill(workers[2], SIGKILL);
  const Outcome result = process.wait(20);
  CHECK(trainer::now() - begin < 2);
  CHECK(result.code == 6);
  CHECK_FALSE(any_alive(workers));
  const std::string report = result.err.substr(before);
  CHECK_THAT(first_line(report), ContainsSubstring("error: rank 2 was killed by SIGKILL"));
  CHECK_THAT(report, ContainsSubstring("pid " + std::to_string(workers[2])) &&
                         ContainsSubstring("its last words 2") && ContainsSubstring("host "));
  CHECK(lines_of(report) <= 10);
}

TEST_CASE("failure: the exit code is that of the rank that failed first") {
  const TempFolder folder;
  const Outcome result =
      outcome_of(shell({"--nproc_per_node=3"},
                       "if [ $RANK = 1 ]; then echo 'error: x.png: truncated' >&2; exit 3; fi; sleep 0.1;"
                       "trap 'echo error: lost rank 1 >&2; exit 6' TERM; sleep 1000 & wait"));
  CHECK(result.code == 3);
  CHECK_THAT(result.err,
             ContainsSubstring("[rank 1] error: x.png: truncated\nrank 1 ended with exit code 3"));
  CHECK(count(result.err, "error: ") == 1);  // what others say of it is left out
}

TEST_CASE("failure: a rank that blames another is not the cause") {
  const std::string script =
      "if [ $RANK = 0 ]; then echo 'error: all_reduce #3: rank 1 has gone' >&2; exit 6; fi;"
      "if [ $RANK = 1 ]; then sleep 0.1; kill -SEGV $$; fi;" +
      forever;
  const Outcome result = outcome_of(shell({"--nproc_per_node=3"}, script));
  CHECK(result.code == 6);
  CHECK_THAT(first_line(result.err), ContainsSubstring("error: rank 1 was killed by SIGSEGV"));
  // With nobody else to blame it is.
  const Outcome alone = outcome_of(shell({"--nproc_per_node=2"}, "[ $RANK = 1 ] && exit 6; " + forever));
  CHECK(alone.code == 6);
  CHECK_THAT(first_line(alone.err), ContainsSubstring("error: rank 1 ended with exit code 6"));
}

TEST_CASE("failure: a watchdog's message stands, not the end of the rank that it waits for", "[timing]") {
  const TempFolder folder;
  const std::string script = with_pid(
      folder, "[ $RANK = 1 ] && { kill -STOP $$; " + forever +
                  "; };"
                  "sleep 0.5; echo \"error: all_reduce #7: rank 1 has not come within 0.5 s\" >&2; exit 134");
  Process process(shell({"--nproc_per_node=3"}, script));
  const auto workers = pids(folder, 3);
  const Outcome result = process.wait(20);
  CHECK(result.code == 134);
  CHECK(count(result.err, "rank 1 has not come") == 1);
  CHECK_THAT(result.err, ContainsSubstring("ended with exit code 134"));
  CHECK_FALSE(any_alive(workers));
}

TEST_CASE("failure: the report says where the ranks were") {
  // The test itself stands in for workers of ours: it writes on their board.
  const TempFolder folder;
  Process process(
      shell({"--nproc_per_node=2"},
            with_pid(folder, "echo $TRAINER_BOARD > " + folder.path().string() + "/board; " + forever)));
  const auto workers = pids(folder, 2);
  std::string board = text_of(folder / "board");
  board.pop_back();
  trainer::board::open(board, 0);
  trainer::board::enter(trainer::board::Phase::step, 812);
  trainer::board::begin_collective(4410, "all_reduce gradients[3] f32 [6553600]");
  trainer::board::open(board, 1);
  trainer::board::enter(trainer::board::Phase::data, 813);
  ::kill(workers[1], SIGKILL);
  const Outcome result = process.wait(20);
  CHECK_THAT(result.err,
             ContainsSubstring("rank 1 is at step 813 in data loading") &&
                 ContainsSubstring("rank 0 is at step 812 in training, waiting in #4410 all_reduce"));
  CHECK(result.err.find("rank 1 is at") < result.err.find("rank 0 is at"));
  CHECK(lines_of(result.err) <= 10);
}

TEST_CASE("failure: an error file in PyTorch's form, unless the worker wrote one") {
  const TempFolder folder;
  const fs::path logs = folder / "none/attempt_0";
  CHECK(outcome_of(shell({"--log-dir", folder.path().string(), "--nproc_per_node=2"},
                         "[ $RANK = 1 ] && exit 9; " + forever))
            .code == 9);
  CHECK_THAT(text_of(logs / "1/error.json"),
             ContainsSubstring("\"exitcode\": 9") && ContainsSubstring("exit code 9"));
  CHECK_FALSE(fs::exists(logs / "0/error.json"));
  CHECK(
      outcome_of(shell({"--log-dir", folder.path().string()}, "echo mine > $TORCHELASTIC_ERROR_FILE; exit 9"))
          .code == 9);
  CHECK(text_of(logs / "0/error.json") == "mine\n");
}

TEST_CASE("failure: the launcher itself is killed, and nobody remains", "[timing]") {
  const TempFolder folder;
  const std::string child = "sleep 1000 & echo $! > " + folder.path().string() + "/child$RANK; ";
  Process process(shell({"--nproc_per_node=3"}, "trap '' TERM HUP; " + child + "echo $TRAINER_BOARD > " +
                                                    folder.path().string() + "/board; " +
                                                    with_pid(folder, forever)));
  auto all = pids(folder, 3);
  for (const char* name : {"child0", "child1", "child2"}) all.push_back(number_in(folder / name));
  CHECK(alive(all[5]));
  const fs::path scratch = fs::path(text_of(folder / "board")).parent_path();
  CHECK(fs::exists(scratch));
  const double begin = trainer::now();
  ::kill(process.pid(), SIGKILL);
  process.wait(5);
  await([&] { return !any_alive(all) && !fs::exists(scratch); });
  CHECK(trainer::now() - begin < 5);
}

TEST_CASE("failure: nothing that a worker has started outlives the run") {
  const TempFolder folder;
  const std::string path = folder.path().string();
  const Outcome result = outcome_of(
      shell({}, "setsid sleep 1000 & echo $! > " + path + "/a; nohup sleep 1000 & echo $! > " + path + "/b"));
  CHECK(result.code == 0);
  CHECK_FALSE(alive(number_in(folder / "a")));
  CHECK_FALSE(alive(number_in(folder / "b")));
}

TEST_CASE("signals: SIGTERM and SIGINT are passed on once, and the workers save") {
  const std::tuple<int, const char*, int> cases[] = {{SIGTERM, "TERM", 143}, {SIGINT, "INT", 130}};
  for (const auto& [number, name, code] : cases) {
    const TempFolder folder;
    const std::string save =
        fmt::format("trap 'echo saved >> {}/saved$RANK; exit {}' {}; ", folder.path().string(), code, name);
    Process process(shell({"--nproc_per_node=2"}, save + with_pid(folder, "sleep 1000 & wait")));
    pids(folder, 2);
    ::kill(process.pid(), number);
    const Outcome result = process.wait(10);
    CHECK(result.code == code);
    CHECK(text_of(folder / "saved0") == "saved\n");
    CHECK(text_of(folder / "saved1") == "saved\n");
    CHECK(result.err.empty());
  }
}

TEST_CASE("signals: workers that do not handle one are ended by it, one that fails to save is named") {
  const TempFolder folder;
  Process plain(shell({"--nproc_per_node=2"}, with_pid(folder, "exec sleep 1000")));
  pids(folder, 2);
  ::kill(plain.pid(), SIGTERM);
  CHECK(plain.wait(10).code == 143);

  const TempFolder other;
  Process full(shell({"--nproc_per_node=2"}, "trap 'echo error: disk full >&2; exit 4' TERM; " +
                                                 with_pid(other, "sleep 1000 & wait")));
  pids(other, 2);
  ::kill(full.pid(), SIGTERM);
  const Outcome result = full.wait(10);
  CHECK(result.code == 4);
  CHECK(count(result.err, "disk full") == 1);
}

TEST_CASE("signals: the second one kills at once, and so does the end of the time to save", "[timing]") {
  const std::string deaf = "trap '' TERM; ";
  for (const bool twice : {true, false}) {
    const TempFolder folder;
    Process process(shell({"--nproc_per_node=2", "--shutdown-timeout", twice ? "60" : "0.3"},
                          deaf + with_pid(folder, forever)));
    const auto workers = pids(folder, 2);
    const double begin = trainer::now();
    ::kill(process.pid(), SIGTERM);
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    if (twice) ::kill(process.pid(), SIGTERM);
    const Outcome result = process.wait(10);
    CHECK(trainer::now() - begin < 2);
    CHECK(result.code == 143);
    CHECK_THAT(result.err, ContainsSubstring("warning: rank 0, 1 did not end within"));
    CHECK_FALSE(any_alive(workers));
  }
}

TEST_CASE("signals: SIGUSR1 reaches the workers and the run goes on, SIGHUP stays ignored under nohup") {
  const TempFolder folder;
  const std::string path = folder.path().string();
  const std::string script = "trap 'echo x > " + path + "/usr$RANK' USR1; " +
                             with_pid(folder, "until [ -e " + path + "/go ]; do sleep 0.01; done");
  Words words = shell({"--nproc_per_node=2"}, script);
  words.insert(words.begin(), "nohup");
  Process process(words);
  pids(folder, 2);
  ::kill(process.pid(), SIGHUP);
  ::kill(process.pid(), SIGUSR1);
  await([&] { return text_of(folder / "usr0") == "x\n" && text_of(folder / "usr1") == "x\n"; });
  std::ofstream(folder / "go").put('\n');
  CHECK(process.wait(10).code == 0);
}

TEST_CASE("restarts: all workers start again while some are left") {
  const TempFolder folder;
  const std::string path = folder.path().string();
  const std::string script =
      "echo $TORCHELASTIC_RESTART_COUNT $MASTER_PORT $TRAINER_STORE >> " + path +
      "/$RANK; [ $TORCHELASTIC_RESTART_COUNT = 2 ] && exit 0; [ $RANK = 0 ] && sleep 1000;"
      "until grep -q ^$TORCHELASTIC_RESTART_COUNT " +
      path + "/0; do sleep 0.01; done; exit 7";
  Outcome result =
      outcome_of(shell({"--nproc_per_node=2", "--max-restarts=2", "--log-dir", path + "/logs"}, script));
  CHECK(result.code == 0);
  CHECK(count(result.err, "starting all workers again") == 2);
  const std::string starts = text_of(folder / "0");
  CHECK(lines_of(starts) == 3);
  CHECK_THAT(starts, ContainsSubstring("\n2 "));
  CHECK(fs::exists(folder / "logs/none/attempt_2/1/stdout.log"));

  result = outcome_of(shell({"--nproc_per_node=2", "--max-restarts=1"}, "exit 7"));
  CHECK(result.code == 7);
  CHECK(count(result.err, "ended with exit code 7") == 2);
}

TEST_CASE("restarts: wrong usage and wrong data would fail again") {
  for (const std::string code : {"2", "3"}) {
    const Outcome result = outcome_of(shell({"--max-restarts=5"}, "echo start; exit " + code));
    CHECK(std::to_string(result.code) == code);
    CHECK(result.out == "start\n");
    CHECK_THAT(result.err, ContainsSubstring("not started again: exit code " + code));
  }
}
