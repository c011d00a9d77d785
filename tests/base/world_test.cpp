#include "lib/base/world.h"

#include <unistd.h>

#include <map>

#include "tests/error_of.h"

using namespace trainer;

namespace {

using Environment = std::map<std::string, std::string>;

World world_of(const Environment& e, std::optional<int> local_rank = {}) {
  return read_world(local_rank, [&](const char* name) -> const char* {
    const auto found = e.find(name);
    return found == e.end() ? nullptr : found->second.c_str();
  });
}

std::string message_of(const Environment& e, std::optional<int> local_rank = {}) {
  return trainer::error_of([&] { world_of(e, local_rank); }, Exit::usage);
}

Environment with(Environment e, const Environment& more) {
  for (const auto& [name, value] : more) e[name] = value;
  return e;
}

const Environment torchrun{{"RANK", "5"},
                           {"WORLD_SIZE", "8"},
                           {"LOCAL_RANK", "1"},
                           {"LOCAL_WORLD_SIZE", "4"},
                           {"GROUP_RANK", "1"},
                           {"GROUP_WORLD_SIZE", "2"},
                           {"MASTER_ADDR", "node0"},
                           {"MASTER_PORT", "29500"},
                           {"TORCHELASTIC_RUN_ID", "none"},
                           {"TORCHELASTIC_RESTART_COUNT", "3"}};

std::string own(const std::string& name) { return fmt::format("unix:@trainer-{}-{}", ::getuid(), name); }

}  // namespace

TEST_CASE("world: no launcher, a world of one") {
  const World w = world_of({});
  CHECK(w.rank == 0);
  CHECK(w.size == 1);
  CHECK(w.store.empty());
  CHECK(w.launcher.empty());
  CHECK(world_of({{"WORLD_SIZE", "1"}}).size == 1);
  CHECK(world_of({{"RANK", "0"}, {"WORLD_SIZE", "1"}}).store.empty());
}

TEST_CASE("world: trainer-launch") {
  const World w =
      world_of(with(torchrun, {{"TRAINER_STORE", "node0:4000"}, {"TRAINER_BOARD", "/dev/shm/board"}}), 3);
  CHECK(w.rank == 5);
  CHECK(w.size == 8);
  CHECK(w.local_rank == 1);  // the environment wins over the flag
  CHECK(w.local_size == 4);
  CHECK(w.node == 1);
  CHECK(w.nodes == 2);
  CHECK(w.restart == 3);
  CHECK(w.store == "node0:4000");
  CHECK_FALSE(w.rank0_serves);
  CHECK(w.board == "/dev/shm/board");
  CHECK(w.launcher == "trainer-launch");
}

TEST_CASE("world: torchrun, several nodes and one") {
  World w = world_of(torchrun);
  CHECK(w.store == "node0:29501");
  CHECK(w.rank0_serves);
  CHECK(w.launcher == "torchrun");
  const Environment one =
      with(torchrun, {{"WORLD_SIZE", "4"}, {"RANK", "1"}, {"GROUP_RANK", "0"}, {"GROUP_WORLD_SIZE", "1"}});
  w = world_of(one);
  CHECK(w.store == own("torchrun-29500-3-none"));
  CHECK(w.rank0_serves);
  CHECK(w.nodes == 1);
  // Another start, another job and a long run id have names of their own; all fit into a socket's address.
  const auto store = [&](const Environment& more) { return world_of(with(one, more)).store; };
  CHECK(store({{"TORCHELASTIC_RESTART_COUNT", "4"}}) != w.store);
  CHECK(store({{"MASTER_PORT", "29501"}}) != w.store);
  const std::string a = store({{"TORCHELASTIC_RUN_ID", std::string(200, 'a')}});
  CHECK(a != store({{"TORCHELASTIC_RUN_ID", std::string(201, 'a')}}));
  CHECK(a.size() <= 6 + 107);
  CHECK_THAT(message_of(with(torchrun, {{"MASTER_PORT", "65535"}})), ContainsSubstring("MASTER_PORT=65535"));
}

TEST_CASE("world: variables set by hand or by Kubeflow") {
  const Environment kubeflow{
      {"RANK", "2"}, {"WORLD_SIZE", "3"}, {"MASTER_ADDR", "job-master-0"}, {"MASTER_PORT", "23456"}};
  World w = world_of(kubeflow);
  CHECK(w.store == "job-master-0:23456");
  CHECK(w.rank0_serves);
  CHECK(w.local_rank == 0);
  CHECK(w.local_size == 1);
  CHECK(w.nodes == 3);
  CHECK(w.node == 2);
  CHECK(w.launcher == "environment");
  w = world_of(with(kubeflow, {{"MASTER_ADDR", "127.0.0.1"}}));
  CHECK(w.local_rank == 2);
  CHECK(w.local_size == 3);
  CHECK(w.nodes == 1);
  CHECK(world_of(kubeflow, 1).local_rank == 1);
  CHECK(world_of(with(kubeflow, {{"MASTER_ADDR", "fd00::1"}})).store == "[fd00::1]:23456");
}

TEST_CASE("world: srun") {
  const Environment one{{"SLURM_JOB_ID", "77"}, {"SLURM_STEP_ID", "0"}, {"SLURM_PROCID", "1"},
                        {"SLURM_NTASKS", "2"},  {"SLURM_LOCALID", "1"}, {"SLURM_NODEID", "0"},
                        {"SLURM_NNODES", "1"},  {"PMI_RANK", "1"},      {"PMI_SIZE", "2"}};
  World w = world_of(one);
  CHECK(w.launcher == "srun");
  CHECK(w.rank == 1);
  CHECK(w.size == 2);
  CHECK(w.local_size == 2);
  CHECK(w.store == own("srun-77.0"));
  CHECK(w.rank0_serves);
  CHECK(world_of(with(one, {{"WORLD_SIZE", "2"}})).size == 2);
  CHECK_THAT(message_of(with(one, {{"WORLD_SIZE", "4"}})), ContainsSubstring("WORLD_SIZE=4 contradicts"));

  const Environment two = with(one, {{"SLURM_NTASKS", "7"},
                                     {"SLURM_PROCID", "6"},
                                     {"SLURM_LOCALID", "0"},
                                     {"SLURM_NODEID", "3"},
                                     {"SLURM_NNODES", "4"},
                                     {"SLURM_STEP_TASKS_PER_NODE", "2(x3),1"}});
  CHECK_THAT(message_of(two), ContainsSubstring("MASTER_ADDR") && ContainsSubstring("MASTER_PORT"));
  w = world_of(with(two, {{"MASTER_ADDR", "n1"}, {"MASTER_PORT", "5000"}}));
  CHECK(w.store == "n1:5000");
  CHECK(w.local_size == 1);
  CHECK(w.node == 3);

  // A batch script, and the shell of an interactive allocation: no step of srun.
  Environment batch = one;
  batch.erase("SLURM_STEP_ID");
  batch.erase("PMI_RANK");
  CHECK(world_of(batch).size == 1);
  batch["SLURM_STEP_ID"] = "4294967290";
  CHECK(world_of(batch).size == 1);
  // torchrun or trainer-launch, one per node, under srun
  CHECK(world_of(with(one, with(torchrun, {{"TRAINER_STORE", "n:1"}}))).rank == 5);
}

TEST_CASE("world: mpirun") {
  const Environment open_mpi{{"OMPI_COMM_WORLD_RANK", "1"},
                             {"OMPI_COMM_WORLD_SIZE", "2"},
                             {"OMPI_COMM_WORLD_LOCAL_RANK", "1"},
                             {"OMPI_COMM_WORLD_LOCAL_SIZE", "2"},
                             {"PMIX_NAMESPACE", "12345.1"}};
  World w = world_of(open_mpi);
  CHECK(w.launcher == "mpirun");
  CHECK(w.rank == 1);
  CHECK(w.local_rank == 1);
  CHECK(w.store == own("mpirun-12345.1"));
  const Environment two =
      with(open_mpi, {{"OMPI_COMM_WORLD_LOCAL_RANK", "0"}, {"OMPI_COMM_WORLD_LOCAL_SIZE", "1"}});
  CHECK_THAT(message_of(two), ContainsSubstring("MASTER_ADDR"));
  w = world_of(with(two, {{"MASTER_ADDR", "n1"}, {"MASTER_PORT", "5000"}}));
  CHECK(w.store == "n1:5000");
  CHECK(w.node == 1);

  w = world_of({{"PMI_RANK", "2"}, {"PMI_SIZE", "4"}, {"MPI_LOCALRANKID", "2"}, {"MPI_LOCALNRANKS", "4"}});
  CHECK(w.rank == 2);
  CHECK(w.store == own(fmt::format("mpirun-proxy{}", ::getppid())));
  CHECK_THAT(message_of({{"PMI_RANK", "2"}}), ContainsSubstring("PMI_SIZE"));
}

TEST_CASE("world: contradictions name the variables and their values") {
  const auto bad = [](const Environment& more) { return message_of(with(torchrun, more)); };
  CHECK_THAT(bad({{"RANK", "8"}}), ContainsSubstring("RANK=8") && ContainsSubstring("WORLD_SIZE=8"));
  CHECK_THAT(bad({{"RANK", "x"}}), ContainsSubstring("RANK=x"));
  CHECK_THAT(bad({{"RANK", "-1"}}), ContainsSubstring("RANK=-1"));
  CHECK_THAT(bad({{"WORLD_SIZE", ""}}), ContainsSubstring("WORLD_SIZE"));
  CHECK_THAT(bad({{"WORLD_SIZE", "0"}}), ContainsSubstring("WORLD_SIZE=0"));
  CHECK_THAT(bad({{"LOCAL_RANK", "4"}}),
             ContainsSubstring("LOCAL_RANK=4") && ContainsSubstring("LOCAL_WORLD_SIZE=4"));
  CHECK_THAT(bad({{"LOCAL_WORLD_SIZE", "9"}}), ContainsSubstring("LOCAL_WORLD_SIZE=9"));
  CHECK_THAT(bad({{"GROUP_RANK", "2"}}), ContainsSubstring("GROUP_RANK=2"));
  CHECK_THAT(message_of({{"WORLD_SIZE", "4"}}),
             ContainsSubstring("WORLD_SIZE=4") && ContainsSubstring("RANK"));
  CHECK_THAT(message_of({{"RANK", "0"}, {"WORLD_SIZE", "2"}}), ContainsSubstring("MASTER_ADDR"));
  CHECK_THAT(message_of({{"LOCAL_RANK", "1"}}), ContainsSubstring("LOCAL_RANK=1"));
  CHECK_THAT(message_of({}, 2), ContainsSubstring("--local_rank=2"));
}
