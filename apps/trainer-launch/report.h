// The report of a failure: which worker, what happened to it, where the others were. At most ten lines.
#pragma once

#include <string>
#include <vector>

#include "apps/trainer-launch/memory.h"
#include "apps/trainer-launch/output.h"
#include "apps/trainer-launch/plan.h"
#include "apps/trainer-launch/program.h"
#include "apps/trainer-launch/worker.h"
#include "lib/base/board.h"

namespace trainer::launch {

/// What the ranks of this node did when the first worker failed.
struct Snapshot {
  std::vector<board::Entry> entries;
  std::vector<int> stopped;  ///< ranks that a signal has stopped

  static Snapshot take(const std::string& board, const std::vector<Worker>&);
};

struct Scene {
  const std::vector<Worker>& workers;
  const Plan& plan;
  const Command& command;
  const Output& output;
  const MemoryWatch& memory;
  Snapshot snapshot;
};

/// "was killed by SIGKILL", "ended with exit code 3 (data)"
std::string what_happened(const Worker&, const Command&);
/// Lines, each with its newline. The first begins with "error: " unless the worker's own message has been
/// shown.
std::string report_of(const Worker& root, const Scene&);
/// PyTorch's form of error.json, if the worker has not written one itself.
void write_error_file(const Worker& root, const std::string& report);

}  // namespace trainer::launch
