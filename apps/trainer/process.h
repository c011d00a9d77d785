// This process among those of its run.
#pragma once

#include <memory>

#include "lib/base/world.h"
#include "lib/comm/comm.h"
#include "lib/config/config.h"
#include "lib/train/build.h"

namespace trainer::app {

struct Process {
  World world;
  Device device;
  std::unique_ptr<comm::Comm> comm;
};

/// Finds this process' world, device and threads, and meets the other ranks. What works for itself (--dry-run)
/// is `alone`: it knows its world, but meets nobody.
Process begin_process(const config::Config&, const train::Settings&, bool alone);

}  // namespace trainer::app
