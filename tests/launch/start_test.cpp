// What the launcher starts: flags, the program's place, its environment.
#include <sys/resource.h>

#include <map>
#include <sstream>

#include "lib/base/socket.h"
#include "lib/base/store.h"
#include "lib/base/world.h"
#include "tests/launch/launcher.h"

using namespace launcher;

namespace {

/// Processor time of all processes that have been waited for.
double seconds_of_children() {
  rusage used{};
  ::getrusage(RUSAGE_CHILDREN, &used);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + 1e-6 * static_cast<double>(t.tv_usec);
  };
  return seconds(used.ru_utime) + seconds(used.ru_stime);
}

}  // namespace

TEST_CASE("launch: the workers' environment") {
  const TempFolder folder;
  const std::string script = "env > " + folder.path().string() + "/$RANK";
  const Outcome result =
      outcome_of(shell({"--nproc_per_node", "2", "--rdzv-id=job7", "--max_restarts", "3"}, script));
  REQUIRE(result.code == 0);
  CHECK(result.err.empty());
  for (const std::string rank : {"0", "1"}) {
    const std::string env = text_of(folder / rank);
    const std::pair<const char*, std::string> expected[] = {{"RANK", rank},
                                                            {"LOCAL_RANK", rank},
                                                            {"WORLD_SIZE", "2"},
                                                            {"LOCAL_WORLD_SIZE", "2"},
                                                            {"GROUP_RANK", "0"},
                                                            {"GROUP_WORLD_SIZE", "1"},
                                                            {"ROLE_RANK", rank},
                                                            {"ROLE_NAME", "default"},
                                                            {"ROLE_WORLD_SIZE", "2"},
                                                            {"MASTER_ADDR", "127.0.0.1"},
                                                            {"TORCHELASTIC_RESTART_COUNT", "0"},
                                                            {"TORCHELASTIC_MAX_RESTARTS", "3"},
                                                            {"TORCHELASTIC_RUN_ID", "job7"}};
    for (const auto& [name, value] : expected) {
      INFO(name);
      CHECK(variable(env, name) == value);
    }
    CHECK(std::stoi(variable(env, "MASTER_PORT")) > 0);
    CHECK(variable(env, "TRAINER_STORE").starts_with("127.0.0.1:"));
    CHECK_FALSE(variable(env, "TRAINER_STORE").ends_with(":" + variable(env, "MASTER_PORT")));
    CHECK(std::stoi(variable(env, "OMP_NUM_THREADS")) == std::max(1, trainer::available_cores() / 2));
    // What it was made for.
    const trainer::World world = trainer::read_world({}, [&](const char* name) -> const char* {
      static std::map<std::string, std::string> values;
      values[name] = variable(env, name);
      return values[name] == "(unset)" ? nullptr : values[name].c_str();
    });
    CHECK(world.launcher == "trainer-launch");
    CHECK(world.size == 2);
    // Its scratch files are gone with it.
    CHECK_FALSE(fs::exists(fs::path(world.board).parent_path()));
  }
}

TEST_CASE("launch: what the user set stays, and PET_ variables are defaults") {
  const Words words = shell({}, "echo $OMP_NUM_THREADS $WORLD_SIZE $CUDA_VISIBLE_DEVICES");
  CHECK(outcome_of(words, {"OMP_NUM_THREADS=7", "PET_NPROC_PER_NODE=1", "CUDA_VISIBLE_DEVICES=3"}).out ==
        "7 1 3\n");
  CHECK(lines_of(outcome_of(words, {"PET_NPROC_PER_NODE=3"}).out) == 3);
  CHECK(lines_of(outcome_of(shell({"--nproc-per-node=2"}, "echo"), {"PET_NPROC_PER_NODE=3"}).out) == 2);
  CHECK(outcome_of(shell({}, "echo $ROLE_NAME"), {"PET_ROLE=coach", "PET_NPROC_PER_NODE="}).out == "coach\n");
}

TEST_CASE("launch: number of workers by devices and cores") {
  const auto workers = [](const std::string& n, const Words& environment) {
    return lines_of(outcome_of(shell({"--nproc-per-node", n}, "echo"), environment).out);
  };
  CHECK(workers("cpu", {}) == trainer::available_cores());
  CHECK(workers("gpu", {"CUDA_VISIBLE_DEVICES=0,2,5"}) == 3);
  CHECK(workers("auto", {"CUDA_VISIBLE_DEVICES=4,1"}) == 2);
  CHECK(workers("auto", {"CUDA_VISIBLE_DEVICES="}) == trainer::available_cores());
  const Outcome none = outcome_of(shell({"--nproc-per-node", "gpu"}, "echo"), {"CUDA_VISIBLE_DEVICES="});
  CHECK(none.code == 2);
  CHECK_THAT(none.err, ContainsSubstring("no NVIDIA device"));
  CHECK(outcome_of(
            shell({"--virtual-local-rank", "--nproc_per_node=2"}, "echo $LOCAL_RANK $CUDA_VISIBLE_DEVICES"),
            {"CUDA_VISIBLE_DEVICES=5,7"})
            .out.find("[rank 1] 0 7\n") != std::string::npos);
}

TEST_CASE("launch: where the program begins") {
  const TempFolder folder;
  std::ofstream(folder / "script.py") << "import sys, os\nprint(os.environ['RANK'], sys.argv[1:])\n";
  std::ofstream(folder / "module.py") << "import sys\nprint('module', sys.argv[1:])\n";
  std::ofstream(folder / "plain") << "echo plain $1\n";
  fs::permissions(folder / "plain", fs::perms::owner_all);
  const std::string script = (folder / "script.py").string();
  CHECK(outcome_of(command({script, "--nproc_per_node", "5"})).out == "0 ['--nproc_per_node', '5']\n");
  CHECK(outcome_of(command({"--use_env", "--nproc_per_node=1", script})).out == "0 []\n");
  CHECK(outcome_of(command({"--pass-local-rank", script, "-x"})).out == "0 ['-x', '--local_rank=0']\n");
  CHECK(outcome_of(command({"-m", "module", "a"}), {"PYTHONPATH=" + folder.path().string()}).out ==
        "module ['a']\n");
  CHECK(outcome_of(command({"--", "echo", "--", "-h"})).out == "-- -h\n");
  CHECK(outcome_of(command({"--no_python", (folder / "plain").string(), "1"})).out ==
        "plain 1\n");  // no #! line
  CHECK(outcome_of(command({"-r0", "-t", "0", "echo", "x"})).out == "x\n");
  CHECK(outcome_of(command({"--role=", "echo", "-c", "[a,b]"})).out == "-c [a,b]\n");

  const Outcome missing = outcome_of(command({"--no-python", "no-such-program"}));
  CHECK(missing.code == 2);
  CHECK(missing.err == "error: no-such-program: no such program\n");
  CHECK(outcome_of(command({(folder / "none.py").string()})).code == 2);
  CHECK(outcome_of(command({"--nproc_per_node", "2"})).err.starts_with("error: no program to run"));
}

TEST_CASE("launch: the trainer beside it") {
  const std::string beside = BINARY_DIR "/bin/trainer";
  if (!fs::exists(beside)) {
    WARN("skipped: no trainer has been built beside the launcher");
    return;
  }
  CHECK_THAT(outcome_of(command({"--nproc_per_node", "1", "--dump-config"})).out,
             ContainsSubstring("BATCH_SIZE"));
  CHECK_THAT(outcome_of(command({"trainer", "--version"})).out, ContainsSubstring("trainer "));
  CHECK_THAT(outcome_of(command({"--opts", "TAG", "--x", "--dump_config"})).out,
             ContainsSubstring("TAG: '--x'"));

  // The launcher knows by name which flags are the trainer's: one that is missing in its list shows here.
  int flags = 0;
  std::istringstream help(outcome_of({beside, "--help"}).out);
  for (std::string line; std::getline(help, line);) {
    if (!line.starts_with("  --") || line.starts_with("  --version")) continue;
    const std::string flag = line.substr(2, line.find(' ', 2) - 2);
    INFO(flag);
    const Outcome result = outcome_of(command({flag, "--help"}));
    CHECK(result.code == 0);
    CHECK_THAT(result.out, ContainsSubstring("Usage: trainer [option ...]"));  // not the launcher's
    ++flags;
  }
  CHECK(flags > 20);
}

TEST_CASE("launch: unknown flags and wrong values are usage errors with a suggestion") {
  const std::pair<Words, std::string> bad[] = {
      {{"--nproc_per_nod", "4", "--cfg", "x"}, "--nproc-per-node"},
      {{"--confg", "x.yaml"}, "--confg"},
      {{"--nproc-per-node", "0", "echo"}, "at least one"},
      {{"--nproc-per-node", "many", "echo"}, "many"},
      {{"--nnodes", "2:1", "echo"}, "--nnodes 2:1"},
      {{"--nnodes", "2", "echo"}, "--master-addr"},
      {{"--nnodes=2", "--node_rank=2", "--master_addr=127.0.0.1", "echo"}, "--node-rank 2"},
      {{"--nnodes=2", "--rdzv-backend=c10d", "echo"}, "--rdzv-endpoint"},
      {{"--rdzv-backend", "etcd", "echo"}, "etcd"},
      {{"--rdzv-conf", "join_timeot=3", "echo"}, "join_timeout"},
      {{"--rdzv-conf", "join_timeout=soon", "echo"}, "join_timeout=soon: expected a number of seconds"},
      {{"--rdzv-conf", "is_host=maybe", "echo"}, "is_host=maybe: expected true or false"},
      {{"--rdzv-conf", "rank=0.5", "echo"}, "rank=0.5: expected a number from 0 on"},
      {{"--tee", "7", "echo"}, "--tee 7"},
      {{"--local-ranks-filter", "0,x", "echo"}, "--local-ranks-filter 0,x"},
      {{"--signals-to-handle", "SIGFOO", "echo"}, "SIGFOO: expected names out of SIGTERM, "},
      {{"--max-restarts", "x", "echo"}, "max-restarts"},
      {{"--max-restarts", "-1", "echo"}, "--max-restarts -1: expected a number from 0 on"},
      {{"--standalone=3", "echo"}, "--standalone=3: takes no value"},
      {{"--master-port", "99999", "echo"}, "99999"}};
  for (const auto& [words, part] : bad) {
    INFO(part);
    const Outcome result = outcome_of(command(words));
    CHECK(result.code == 2);
    CHECK(result.out.empty());
    CHECK(count(result.err, "error: ") == 1);
    CHECK_THAT(result.err, ContainsSubstring(part));
  }
}

TEST_CASE("launch: all mistakes of the command line come at once") {
  const Outcome result =
      outcome_of(command({"--max-restarts", "x", "--standalone=3", "--nproc-per-nod=2", "--node-rank"}),
                 {"PET_SHUTDOWN_TIMEOUT=soon", "PET_NO_PYTHON=maybe"});
  CHECK(result.code == 2);
  CHECK(result.err ==
        "error: --standalone=3: takes no value\n"
        "unknown argument --nproc-per-nod (did you mean --nproc-per-node?)\n"
        "--node-rank: expected N after it\n"
        "--max-restarts x: expected a whole number\n"
        "PET_SHUTDOWN_TIMEOUT: --shutdown-timeout soon: expected a number of seconds\n"
        "PET_NO_PYTHON=maybe: expected true or false\n");
}

TEST_CASE("launch: help and version") {
  const Outcome help = outcome_of(command({"--help"}));
  CHECK(help.code == 0);
  CHECK(help.err.empty());
  CHECK_THAT(help.out, ContainsSubstring("Examples:\n  trainer-launch") &&
                           ContainsSubstring("--nproc-per-node") && !ContainsSubstring("TEXT"));
  CHECK_THAT(outcome_of(command({"--version"})).out, ContainsSubstring("trainer-launch "));
}

TEST_CASE("launch: MASTER_PORT can be bound and listened on by a worker, and belongs to nobody else") {
  // What PyTorch's store does: SO_REUSEADDR, bind, listen.
  const std::string listen =
      "import os, socket\ns = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)\n"
      "s.bind(('', int(os.environ['MASTER_PORT']))); s.listen(); print('listens')\n";
  CHECK(outcome_of(command({"python3", "-c", listen})).out == "listens\n");

  const trainer::Listener busy = trainer::listen_at("127.0.0.1:0");
  const std::string port = std::to_string(trainer::parse_host_port(busy.address).port);
  const Outcome refused = outcome_of(shell({"--master_port", port}, "echo never"));
  CHECK(refused.code == 6);
  CHECK(refused.out.empty());
  CHECK(refused.err == "error: port " + port +
                           " is in use: choose another --master-port (on one node it may be left out)\n");
  const std::string free =
      std::to_string(trainer::parse_host_port(trainer::listen_at("127.0.0.1:0").address).port);
  CHECK(outcome_of(shell({"--master_port", free}, "echo $MASTER_PORT")).out == free + "\n");
}

TEST_CASE("launch: the workers' store serves, whatever else is sent to its port") {
  const TempFolder folder;
  const std::string go = folder / "go", at = folder / "store";
  Process process(
      shell({}, "echo $TRAINER_STORE > " + at + "; until [ -e " + go + " ]; do sleep 0.01; done"));
  await([&] { return text_of(at).ends_with("\n"); });
  std::string address = text_of(at);
  address.pop_back();
  std::string reason;
  const trainer::Fd garbage = trainer::connect_to(address, trainer::now() + 5, reason);
  trainer::send_all(garbage.get(), "GET / HTTP/1.1\r\n\r\n", 18, trainer::now() + 5);
  trainer::Store store(address, 5);
  store.set("a", "b");
  CHECK(store.get("a", 1) == "b");
  std::ofstream(folder / "go").put('\n');
  CHECK(process.wait(10).code == 0);
}

TEST_CASE("launch: starting costs little", "[timing]") {
  double best = 1;
  for (int i = 0; i < 10; ++i) {
    const double begin = seconds_of_children();  // of processors: a busy machine does not count
    REQUIRE(outcome_of(command({"--nproc_per_node", "2", "--no-python", "true"})).code == 0);
    best = std::min(best, seconds_of_children() - begin);
  }
  CHECK(best < 0.05);
}
