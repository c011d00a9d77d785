#include "apps/trainer/process.h"

#include <algorithm>
#include <optional>

#include "lib/backend/cpu/parallel.h"
#include "lib/backend/cpu/winograd.h"
#include "lib/base/board.h"
#include "lib/base/log.h"
#include "lib/base/system.h"

namespace trainer::app {

Process begin_process(const config::Config& config, const train::Settings& settings, bool alone) {
  Process process;
  const auto flag = static_cast<int>(settings.run.local_rank);
  process.world = read_world(flag > 0 ? std::optional(flag) : std::nullopt);
  const World& world = process.world;
  process.device = train::choose_device(settings.run.device, world.local_rank);
  const auto n_threads =
      static_cast<int>(settings.run.threads.value_or(std::max(1, available_cores() / world.local_size)));
  cpu::set_threads(n_threads);
  if (cpu::threads() < n_threads)
    log::warn("THREADS: {} instead of {}, which is all that OMP_THREAD_LIMIT allows", cpu::threads(),
              n_threads);
  cpu::set_deterministic(settings.run.deterministic);
  cpu::set_winograd(settings.conv.winograd ? cpu::OwnLoops::fast : cpu::OwnLoops::off);
  if (!world.board.empty()) board::open(world.board, world.local_rank);
  if (world.rank > 0) log::set_quiet(true);  // all say the same; warnings and errors are shown
  const config::Node& keys = config.group("COMM");
  process.comm = comm::make_comm(config::bind<comm::CommConfig>(keys), keys, alone ? World() : world);
  return process;
}

}  // namespace trainer::app
