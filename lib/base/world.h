// World: this process's place among the processes of a run, from the environment that its launcher made.
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
  int restart = 0;  ///< how often the launcher has started this run again

  /// Where the ranks meet (lib/base/store.h); "" for a world of one.
  std::string store;
  /// Rank 0 serves the store; otherwise the launcher does.
  bool rank0_serves = false;
  /// Tells several meetings of the same ranks at one store apart.
  std::string purpose;
  /// The board of this node's processes (lib/base/board.h); "" if there is none.
  std::string board;
  /// Who made this environment: "trainer-launch", "torchrun", "srun", "mpirun", "environment", or "" for
  /// none.
  std::string launcher;
};

/// Reads RANK, WORLD_SIZE, LOCAL_RANK, LOCAL_WORLD_SIZE, MASTER_ADDR, MASTER_PORT, TRAINER_STORE
/// (trainer-launch and torchrun), else SLURM_PROCID, SLURM_NTASKS, SLURM_LOCALID, SLURM_NODEID (under srun),
/// else OMPI_COMM_WORLD_* or PMI_* (mpirun); a world of one where there is none of these. `local_rank` is
/// what a flag says: the environment wins.
///
/// The store is TRAINER_STORE; without it the ranks of one node meet at a local socket named after the job,
/// those of several nodes at MASTER_ADDR:MASTER_PORT, under torchrun, which uses that itself, at MASTER_PORT
/// + 1. By hand on one machine (MASTER_ADDR is a loopback address) LOCAL_RANK may be left out. Contradictions
/// (RANK 4 of WORLD_SIZE 4, RANK without WORLD_SIZE,
/// ...) are Error(Exit::usage) that name the variables and their values. `variable` looks one up: nullptr if
/// unset.
World read_world(std::optional<int> local_rank = {},
                 const std::function<const char*(const char* name)>& variable = {});

}  // namespace trainer
