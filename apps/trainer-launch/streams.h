// The files and pipes of a worker's standard streams.
#pragma once

#include <sys/types.h>

#include "apps/trainer-launch/output.h"
#include "apps/trainer-launch/plan.h"
#include "apps/trainer-launch/spawn.h"
#include "apps/trainer-launch/worker.h"

namespace trainer::launch {

/// The worker's ends, to be closed once it has been started.
struct WorkerEnds {
  Fd in, out, err;
  SpawnFiles files() const { return {in.get(), out.get(), err.get()}; }
};

/// Makes them and adds ours to `output`. Sets the worker's log folder (made if it is not there) and error
/// file. Throws Error(Exit::usage) naming a log file that cannot be written.
WorkerEnds open_streams(const Options&, const Plan&, const std::string& scratch, Worker&, Output& output);

/// The size of the terminal that we are on, for the worker that has one.
void pass_on_terminal_size(const Output&);

}  // namespace trainer::launch
