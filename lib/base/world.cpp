#include "lib/base/world.h"

#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "lib/base/socket.h"

namespace trainer {
namespace {

/// The environment, with errors that name variable and value.
class Variables {
 public:
  explicit Variables(const std::function<const char*(const char*)>& look_up) : look_up_(look_up) {}

  /// "" if it is unset.
  std::string text(const char* name) const {
    const char* value = look_up_ ? look_up_(name) : std::getenv(name);
    return value == nullptr ? "" : value;
  }
  bool has(const char* name) const { return !text(name).empty(); }

  /// Not negative.
  std::optional<int> number(const char* name) const {
    const std::string value = text(name);
    if (value.empty()) return std::nullopt;
    int result = -1;
    const auto parsed = std::from_chars(value.data(), value.data() + value.size(), result);
    check(Exit::usage, parsed.ec == std::errc() && parsed.ptr == value.data() + value.size() && result >= 0,
          "{}={}: expected a number from 0 on", name, value);
    return result;
  }
  int required(const char* name, const char* because) const {
    const auto value = number(name);
    check(Exit::usage, value.has_value(), "{} is set but {} is not", because, name);
    return *value;
  }

 private:
  const std::function<const char*(const char*)>& look_up_;
};

void check_within(const char* name, int value, const char* size_name, int size) {
  check(Exit::usage, size >= 1, "{}={}: a run has at least one process", size_name, size);
  check(Exit::usage, value < size, "{}={} contradicts {}={}: expected {} from 0 to {}", name, value,
        size_name, size, name, size - 1);
}

/// The name of a local socket may have 107 bytes, and a run id any length.
std::string local_address(std::string name) {
  constexpr size_t most = 70;
  uint64_t hash = 14695981039346656037U;  // FNV-1a
  for (const char c : name) hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211U;
  if (name.size() > most) name = fmt::format("{}-{:016x}", name.substr(0, most), hash);
  return fmt::format("unix:@trainer-{}-{}", ::getuid(), name);
}

/// MASTER_ADDR:MASTER_PORT + offset; `because` says who needs them.
std::string master_address(const Variables& v, int offset, std::string_view because) {
  const std::string host = v.text("MASTER_ADDR");
  check(Exit::usage, !host.empty() && v.has("MASTER_PORT"),
        "{}: MASTER_ADDR (the host of rank 0) and MASTER_PORT (a free port there) have to be set", because);
  const int port = v.required("MASTER_PORT", "MASTER_ADDR") + offset;
  check(Exit::usage, port > 0 && port <= 65535, "MASTER_PORT={}: no usable port", v.text("MASTER_PORT"));
  return join_host_port(host, port);
}

/// For the ranks of one node a socket named after the job, for several nodes MASTER_ADDR:MASTER_PORT.
void meet_by_job(World& w, const Variables& v, const std::string& job) {
  w.rank0_serves = true;
  if (w.local_size == w.size && !job.empty()) {
    w.store = local_address(fmt::format("{}-{}", w.launcher, job));
  } else {
    w.store = master_address(v, 0, fmt::format("{} processes under {}", w.size, w.launcher));
  }
}

/// RANK and WORLD_SIZE are there: torchrun, trainer-launch, Kubeflow, or a person.
World from_environment(const Variables& v, std::optional<int> local_rank) {
  World w;
  w.rank = *v.number("RANK");
  w.size = v.required("WORLD_SIZE", "RANK");
  check_within("RANK", w.rank, "WORLD_SIZE", w.size);
  const bool one_machine = is_loopback(v.text("MASTER_ADDR"));
  w.local_rank = v.number("LOCAL_RANK").value_or(local_rank.value_or(one_machine ? w.rank : 0));
  w.local_size = v.number("LOCAL_WORLD_SIZE").value_or(one_machine ? w.size : w.local_rank + 1);
  const char* local_name = v.has("LOCAL_RANK") ? "LOCAL_RANK" : "--local_rank";
  check_within(local_name, w.local_rank, v.has("LOCAL_WORLD_SIZE") ? "LOCAL_WORLD_SIZE" : "WORLD_SIZE",
               w.local_size);
  check(Exit::usage, w.local_size <= w.size, "LOCAL_WORLD_SIZE={} contradicts WORLD_SIZE={}: it is larger",
        w.local_size, w.size);
  w.nodes = v.number("GROUP_WORLD_SIZE").value_or((w.size + w.local_size - 1) / w.local_size);
  w.node = v.number("GROUP_RANK").value_or(std::min(w.rank / w.local_size, w.nodes - 1));
  check_within("GROUP_RANK", w.node, "GROUP_WORLD_SIZE", w.nodes);
  w.restart = v.number("TORCHELASTIC_RESTART_COUNT").value_or(0);
  w.board = v.text("TRAINER_BOARD");
  w.launcher = v.has("TRAINER_STORE")         ? "trainer-launch"
               : v.has("TORCHELASTIC_RUN_ID") ? "torchrun"
                                              : "environment";
  if (w.launcher == "trainer-launch") {
    w.store = v.text("TRAINER_STORE");
  } else if (w.launcher == "torchrun") {
    w.rank0_serves = true;
    // torchrun or the script's own store listens on MASTER_PORT. Between nodes ours takes the next one; on
    // one node a socket whose name no other job, and no earlier start of this one, can have.
    w.store = w.local_size == w.size ? local_address(fmt::format("torchrun-{}-{}-{}", v.text("MASTER_PORT"),
                                                                 w.restart, v.text("TORCHELASTIC_RUN_ID")))
                                     : master_address(v, 1, "several nodes under torchrun");
  } else if (w.size > 1) {
    w.rank0_serves = true;
    w.store = master_address(v, 0, fmt::format("WORLD_SIZE={}", w.size));
  }
  return w;
}

/// A task of a real srun. In a batch script or a shell of salloc the same variables describe the allocation,
/// and the step has none or one of the reserved numbers from 0xfffffff0 on.
bool under_srun(const Variables& v) {
  const std::string step = v.text("SLURM_STEP_ID");
  uint32_t id = 0;
  const auto parsed = std::from_chars(step.data(), step.data() + step.size(), id);
  return !step.empty() && parsed.ec == std::errc() && id < 0xffff'fff0U && v.has("SLURM_PROCID") &&
         (v.has("SLURM_NTASKS") || v.has("SLURM_STEP_NUM_TASKS"));
}

/// Entry `node` of "2(x3),1": two tasks on three nodes, one on the fourth.
int tasks_on_node(std::string_view list, int node) {
  const std::string_view whole = list;
  while (!list.empty()) {
    const std::string_view item = list.substr(0, list.find(','));
    list.remove_prefix(std::min(list.size(), item.size() + 1));
    int tasks = 0, times = 1;
    const char* end = std::from_chars(item.data(), item.data() + item.size(), tasks).ptr;
    const std::string_view rest = item.substr(static_cast<size_t>(end - item.data()));
    if (rest.starts_with("(x")) std::from_chars(rest.data() + 2, rest.data() + rest.size(), times);
    if (tasks >= 1 && node < times) return tasks;
    node -= times;
  }
  fail(Exit::usage, "SLURM_STEP_TASKS_PER_NODE={} says nothing of node {}", whole, node);
}

World from_slurm(const Variables& v) {
  World w;
  w.launcher = "srun";
  const char* size_name = v.has("SLURM_STEP_NUM_TASKS") ? "SLURM_STEP_NUM_TASKS" : "SLURM_NTASKS";
  w.rank = *v.number("SLURM_PROCID");
  w.size = *v.number(size_name);
  check_within("SLURM_PROCID", w.rank, size_name, w.size);
  w.nodes = v.number(v.has("SLURM_STEP_NUM_NODES") ? "SLURM_STEP_NUM_NODES" : "SLURM_NNODES").value_or(1);
  w.node = v.number("SLURM_NODEID").value_or(0);
  check_within("SLURM_NODEID", w.node, "SLURM_NNODES", w.nodes);
  w.local_rank = v.number("SLURM_LOCALID").value_or(w.nodes == 1 ? w.rank : 0);
  const char* per_node =
      v.has("SLURM_STEP_TASKS_PER_NODE") ? "SLURM_STEP_TASKS_PER_NODE" : "SLURM_TASKS_PER_NODE";
  w.local_size = w.nodes == 1      ? w.size
                 : v.has(per_node) ? tasks_on_node(v.text(per_node), w.node)
                                   : w.local_rank + 1;
  check_within("SLURM_LOCALID", w.local_rank, per_node, w.local_size);
  w.restart = v.number("SLURM_RESTART_COUNT").value_or(0);
  if (w.size > 1) meet_by_job(w, v, fmt::format("{}.{}", v.text("SLURM_JOB_ID"), v.text("SLURM_STEP_ID")));
  return w;
}

/// MPICH names no job, but its ranks on a node have one proxy: at the other end of the socket PMI_FD, and
/// their parent unless they were started through a script.
pid_t mpich_proxy(const Variables& v) {
  ucred proxy{};
  socklen_t size = sizeof proxy;
  const int fd = v.number("PMI_FD").value_or(-1);
  const bool known = ::getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &proxy, &size) == 0 && proxy.pid > 0;
  return known ? proxy.pid : ::getppid();
}

World from_mpi(const Variables& v, bool open_mpi) {
  World w;
  w.launcher = "mpirun";
  const char* rank_name = open_mpi ? "OMPI_COMM_WORLD_RANK" : "PMI_RANK";
  const char* size_name = open_mpi ? "OMPI_COMM_WORLD_SIZE" : "PMI_SIZE";
  const char* local_name = open_mpi ? "OMPI_COMM_WORLD_LOCAL_RANK" : "MPI_LOCALRANKID";
  const char* local_size_name = open_mpi ? "OMPI_COMM_WORLD_LOCAL_SIZE" : "MPI_LOCALNRANKS";
  w.rank = *v.number(rank_name);
  w.size = v.required(size_name, rank_name);
  check_within(rank_name, w.rank, size_name, w.size);
  w.local_rank = v.number(local_name).value_or(w.rank);
  w.local_size = v.number(local_size_name).value_or(w.size);
  check_within(local_name, w.local_rank, local_size_name, w.local_size);
  check(Exit::usage, w.local_size <= w.size, "{}={} contradicts {}={}: it is larger", local_size_name,
        w.local_size, size_name, w.size);
  w.nodes = (w.size + w.local_size - 1) / w.local_size;
  w.node = std::min(w.rank / w.local_size, w.nodes - 1);
  std::string job;
  for (const char* name : {"PMIX_NAMESPACE", "OMPI_MCA_ess_base_jobid", "I_MPI_HYDRA_UUID", "PMI_JOBID"}) {
    if (job.empty()) job = v.text(name);
  }
  if (job.empty() && !open_mpi) job = fmt::format("proxy{}", mpich_proxy(v));
  if (w.size > 1) meet_by_job(w, v, job);
  return w;
}

}  // namespace

World read_world(std::optional<int> local_rank, const std::function<const char*(const char*)>& variable) {
  const Variables v(variable);
  const bool srun = under_srun(v), open_mpi = v.has("OMPI_COMM_WORLD_RANK"), pmi = v.has("PMI_RANK");
  World w;
  if (v.has("RANK")) {
    w = from_environment(v, local_rank);
  } else if (srun || open_mpi || pmi) {
    w = srun ? from_slurm(v) : from_mpi(v, open_mpi);
    // Batch scripts often export WORLD_SIZE for the programs that they start with srun.
    const int size = v.number("WORLD_SIZE").value_or(w.size);
    check(Exit::usage, size == w.size, "WORLD_SIZE={} contradicts the {} processes of {}", size, w.size,
          w.launcher);
  } else {
    const int size = v.number("WORLD_SIZE").value_or(1);
    check(Exit::usage, size == 1,
          "WORLD_SIZE={} is set but RANK is not: start the processes with trainer-launch", size);
    w.local_rank = v.number("LOCAL_RANK").value_or(local_rank.value_or(0));
    check(Exit::usage, w.local_rank == 0, "{}={}, but neither RANK nor WORLD_SIZE is set",
          v.has("LOCAL_RANK") ? "LOCAL_RANK" : "--local_rank", w.local_rank);
  }
  if (w.size == 1) {
    w.store.clear();
    w.rank0_serves = false;
  }
  return w;
}

}  // namespace trainer
