// World: this process's rank in a run of several processes, from the environment variables that its launcher
// set (trainer-launch, torchrun, srun, mpirun, or a person).
//
//   const World world = read_world();
//   if (world.size > 1) { Store store(world.store, 60); ... }
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "lib/base/error.h"

namespace trainer {

struct World {
  int rank = 0, size = 1;              ///< over all nodes
  int local_rank = 0, local_size = 1;  ///< on this node
  int node = 0, nodes = 1;
  int restart = 0;  ///< how often the launcher has restarted this run

  /// The address of the store (lib/base/store.h); "" for a world of one.
  std::string store;
  /// Rank 0 serves the store, not the launcher.
  bool rank0_serves = false;
  /// Distinguishes several groups of the same ranks at one store.
  std::string purpose;
  /// The path of this node's board (lib/base/board.h); "" if there is none.
  std::string board;
  /// "trainer-launch", "torchrun", "srun", "mpirun", "environment" (variables set by hand), or "" for none.
  std::string launcher;
};

/// Reads the first of these that is there; without any it is a world of one:
///   trainer-launch, torchrun   RANK, WORLD_SIZE, LOCAL_RANK, LOCAL_WORLD_SIZE, MASTER_*, TRAINER_STORE
///   srun                       SLURM_PROCID, SLURM_NTASKS, SLURM_LOCALID, SLURM_NODEID
///   mpirun                     OMPI_COMM_WORLD_* or PMI_*
/// `local_rank` is a flag's: LOCAL_RANK wins. Started by hand on one machine (MASTER_ADDR is a loopback
/// address) LOCAL_RANK may be omitted.
///
/// The store is TRAINER_STORE; else for the ranks of one node a local socket named after the job; else
/// MASTER_ADDR and MASTER_PORT, or MASTER_PORT + 1 under torchrun, which uses that port itself.
///
/// Contradictions (RANK 4 of WORLD_SIZE 4, RANK without WORLD_SIZE) are Error(Exit::usage) that name the
/// variables and their values. `variable` replaces getenv() in tests: nullptr if unset.
World read_world(std::optional<int> local_rank = {},
                 const std::function<const char*(const char* name)>& variable = {});

}  // namespace trainer
