// What the ranks of a run make equal before its first step.
#pragma once

#include <span>
#include <string>
#include <utility>

#include "lib/comm/comm.h"

namespace trainer::comm {

/// Every tensor becomes rank 0's. Names, dtypes and shapes are compared first: where they differ, every rank
/// throws Error(Exit::distributed) that names the first tensor that differs, the ranks and what they have.
/// `what` is for messages ("parameters").
using NamedTensor = std::pair<std::string, Tensor*>;
void broadcast_from_rank0(Comm&, std::span<const NamedTensor>, std::string_view what);

}  // namespace trainer::comm
