// The workers' environment (docs/launch.md has the table).
#pragma once

#include <string>
#include <vector>

#include "apps/trainer-launch/options.h"
#include "apps/trainer-launch/plan.h"

namespace trainer::launch {

/// NAME=VALUE: this process's variables and those of a worker. `error_file` and `board` may be "".
std::vector<std::string> environment_of(const Options&, const Plan&, int local_rank,
                                        const std::string& error_file, const std::string& board);

}  // namespace trainer::launch
