// Plan: one start of all workers, as the nodes have agreed on it.
#pragma once

#include <string>

namespace trainer::launch {

struct Plan {
  int attempt = 0;  ///< how often the workers have been started before
  int node = 0, nodes = 1;
  int first_rank = 0, world_size = 1;
  std::string master_addr;
  int master_port = 0;
  std::string store;  ///< address of the workers' store
};

}  // namespace trainer::launch
