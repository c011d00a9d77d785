// Several launchers as the nodes of one run, on this machine.
#include <fmt/core.h>

#include <memory>

#include "lib/base/socket.h"
#include "lib/base/store.h"
#include "tests/launch/launcher.h"

using namespace launcher;

namespace {

using Launcher = std::unique_ptr<Process>;

Launcher start(const Words& words, const Words& environment = {}) {
  return std::make_unique<Process>(words, environment);
}

/// A port that is free now, and the one after it.
int free_port() {
  for (;;) {
    const auto first = trainer::listen_at("127.0.0.1:0");
    const int port = trainer::parse_host_port(first.address).port;
    if (port > 65000) continue;
    try {
      trainer::listen_at(fmt::format("127.0.0.1:{}", port + 1));
      return port;
    } catch (const trainer::Error&) {
    }
  }
}

/// A node of a static run.
Words node(int rank, int port, const std::string& script, Words more = {}) {
  Words flags{"--nnodes=2", fmt::format("--node-rank={}", rank), "--master-addr=127.0.0.1",
              fmt::format("--master-port={}", port), "--rdzv-conf=join_timeout=10"};
  flags.insert(flags.end(), more.begin(), more.end());
  return shell(flags, script);
}

Words c10d(int port, const std::string& script, Words more = {}) {
  Words flags{"--nnodes=2", "--rdzv-backend=c10d", fmt::format("--rdzv-endpoint=127.0.0.1:{}", port),
              "--rdzv-conf=join_timeout=10,last_call_timeout=0.2"};
  flags.insert(flags.end(), more.begin(), more.end());
  return shell(flags, script);
}

const std::string show =
    "echo $RANK $LOCAL_RANK $WORLD_SIZE $LOCAL_WORLD_SIZE $GROUP_RANK $GROUP_WORLD_SIZE "
    "$MASTER_ADDR:$MASTER_PORT";

}  // namespace

TEST_CASE("nodes: two with different numbers of workers are one run") {
  const int port = free_port();
  const Launcher second = start(node(1, port, show));
  const Launcher first = start(node(0, port, show, {"--nproc-per-node=2"}));
  const Outcome a = first->wait(20), b = second->wait(20);
  CHECK(a.code == 0);
  CHECK(b.code == 0);
  CHECK_THAT(a.out, ContainsSubstring(fmt::format("[rank 0] 0 0 3 2 0 2 127.0.0.1:{}\n", port)) &&
                        ContainsSubstring(fmt::format("[rank 1] 1 1 3 2 0 2 127.0.0.1:{}\n", port)));
  CHECK(b.out == fmt::format("2 0 3 1 1 2 127.0.0.1:{}\n", port));
}

TEST_CASE("nodes: numbered as they come, the same command on each") {
  const int port = free_port();
  const std::string meet = "echo $GROUP_RANK $RANK $WORLD_SIZE $TRAINER_STORE";
  const Launcher first = start(c10d(port, meet)), second = start(c10d(port, meet));
  const Outcome a = first->wait(20), b = second->wait(20);
  CHECK(a.code == 0);
  CHECK(b.code == 0);
  const std::string both = a.out + b.out;
  CHECK_THAT(both, ContainsSubstring("0 0 2 127.0.0.1:") && ContainsSubstring("1 1 2 127.0.0.1:"));
  CHECK(a.out.substr(6) == b.out.substr(6));  // one store
}

TEST_CASE("nodes: more may come during the last call") {
  const int port = free_port();
  const Words words =
      c10d(port, "echo $WORLD_SIZE", {"--nnodes=1:3", "--rdzv-conf=join_timeout=10,last_call_timeout=2"});
  const Launcher first = start(words), second = start(words), third = start(words);
  CHECK(first->wait(20).out == "3\n");
  CHECK(second->wait(20).out == "3\n");
  CHECK(third->wait(20).out == "3\n");
  CHECK(outcome_of(c10d(port, "echo $WORLD_SIZE", {"--nnodes=1:3"})).out == "1\n");
}

TEST_CASE("nodes: a failure on one ends all, and everybody names it", "[timing]") {
  const TempFolder folder;
  const int port = free_port();
  const std::string script =
      "echo $$ > " + folder.path().string() + "/$RANK; trap '' TERM; while :; do sleep 1000; done";
  const Launcher first = start(node(0, port, script)),
                 second = start(node(1, port, script, {"--nproc-per-node=2"}));
  std::vector<int> pids;
  for (const char* rank : {"0", "1", "2"}) pids.push_back(number_in(folder / rank));
  const double begin = trainer::now();
  ::kill(pids[2], SIGKILL);
  const Outcome a = first->wait(20), b = second->wait(20);
  CHECK(trainer::now() - begin < 2.5);
  for (const Outcome& result : {a, b}) {
    CHECK(result.code == 6);
    CHECK_THAT(result.err, ContainsSubstring("error: rank 2 was killed by SIGKILL"));
    CHECK(count(result.err, "error: ") == 1);
  }
  for (const int pid : pids) CHECK_FALSE(alive(pid));

  const Launcher good = start(node(0, port, "sleep 0.3")), bad = start(node(1, port, "exit 3"));
  CHECK(good->wait(20).code == 3);
  CHECK(bad->wait(20).code == 3);
}

TEST_CASE("nodes: all start again together") {
  const TempFolder folder;
  const int port = free_port();
  const std::string path = folder.path().string();
  const std::string script =
      "echo $TORCHELASTIC_RESTART_COUNT $TRAINER_STORE >> " + path +
      "/$RANK; [ $TORCHELASTIC_RESTART_COUNT = 1 ] && exit 0; [ $RANK = 0 ] && sleep 1000;"
      "until [ -s " +
      path + "/0 ]; do sleep 0.01; done; exit 9";
  const Launcher first = start(node(0, port, script, {"--max-restarts=1"}));
  const Launcher second = start(node(1, port, script, {"--max-restarts=1"}));
  CHECK(first->wait(20).code == 0);
  CHECK(second->wait(20).code == 0);
  CHECK(lines_of(text_of(folder / "0")) == 2);
  CHECK(text_of(folder / "0") == text_of(folder / "1"));
}

TEST_CASE("nodes: a signal to one launcher reaches the workers of all") {
  const TempFolder folder;
  const int port = free_port();
  const std::string script =
      "trap 'exit 143' TERM; echo $$ > " + folder.path().string() + "/$RANK; sleep 1000 & wait";
  const Launcher first = start(node(0, port, script)), second = start(node(1, port, script));
  number_in(folder / "0");
  number_in(folder / "1");
  ::kill(second->pid(), SIGTERM);
  CHECK(first->wait(20).code == 143);
  CHECK(second->wait(20).code == 143);
}

TEST_CASE("nodes: the launcher of node 0 is killed") {
  const TempFolder folder;
  const int port = free_port();
  const std::string script = "echo $$ > " + folder.path().string() + "/$RANK; while :; do sleep 1000; done";
  const Launcher first = start(node(0, port, script)), second = start(node(1, port, script));
  const int pid = number_in(folder / "1");
  number_in(folder / "0");
  ::kill(first->pid(), SIGKILL);
  const Outcome result = second->wait(20);
  CHECK(result.code == 6);
  CHECK_THAT(result.err, ContainsSubstring("error: lost the launcher of node 0"));
  CHECK_FALSE(alive(pid));
}

TEST_CASE("nodes: one that is missing, twice there, late, or of another mind") {
  const int port = free_port();
  const Outcome missing = outcome_of(node(0, port, "echo never", {"--rdzv-conf=join_timeout=0.3"}));
  CHECK(missing.code == 6);
  CHECK_THAT(missing.err, ContainsSubstring("node 1 did not join within"));
  const Outcome lonely = outcome_of(node(1, port, "echo never", {"--rdzv-conf=join_timeout=0.3"}));
  CHECK(lonely.code == 6);
  CHECK_THAT(lonely.err, ContainsSubstring("node 0 cannot be reached") &&
                             ContainsSubstring(fmt::format("127.0.0.1:{}", port + 1)));

  const Launcher first = start(node(0, port, "sleep 1"));
  await([&] { return count(first->err(), "waiting for 2 nodes") == 1; });
  const Outcome other_size = outcome_of(node(1, port, "echo never", {"--nnodes=3"}));
  CHECK(other_size.code == 2);
  CHECK_THAT(other_size.err, ContainsSubstring("disagree") && ContainsSubstring("nnodes 3:3"));
  const Outcome busy = outcome_of(node(0, port, "echo never"));
  CHECK(busy.code == 6);
  CHECK_THAT(busy.err, ContainsSubstring("in use"));
  const Launcher second = start(node(1, port, "sleep 1"));
  trainer::Store store(fmt::format("127.0.0.1:{}", port + 1), 5);
  CHECK(store.wait({"0/plan"}, 10).empty());
  const Outcome twice = outcome_of(node(1, port, "echo never"));
  CHECK(twice.code == 2);
  CHECK_THAT(twice.err, ContainsSubstring(fmt::format("--node-rank 1 is taken by {} (pid {})",
                                                      trainer::host_name(), second->pid())));
  CHECK(first->wait(20).code == 0);
  CHECK(second->wait(20).code == 0);

  const Launcher a = start(c10d(port, "sleep 1")), b = start(c10d(port, "sleep 1"));
  trainer::Store meeting(fmt::format("127.0.0.1:{}", port), 5);
  CHECK(meeting.wait({"0/plan"}, 10).empty());
  const Outcome late = outcome_of(c10d(port, "echo never"));
  CHECK(late.code == 6);
  CHECK_THAT(late.err, ContainsSubstring("already has its 2 nodes"));
  CHECK(a->wait(20).code == 0);
  CHECK(b->wait(20).code == 0);
}
