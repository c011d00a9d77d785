#include "apps/trainer-launch/environment.h"

#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <map>

#include "lib/base/system.h"

namespace trainer::launch {

std::vector<std::string> environment_of(const Options& options, const Plan& plan, int local_rank,
                                        const std::string& error_file, const std::string& board) {
  std::map<std::string, std::string> set;
  const auto put = [&](const char* name, const auto& value) { set[name] = fmt::format("{}", value); };
  const int rank = plan.first_rank + local_rank;
  put("RANK", rank);
  put("WORLD_SIZE", plan.world_size);
  put("LOCAL_RANK", options.virtual_local_rank ? 0 : local_rank);
  put("LOCAL_WORLD_SIZE", options.workers);
  put("GROUP_RANK", plan.node);
  put("GROUP_WORLD_SIZE", plan.nodes);
  put("ROLE_NAME", options.role);
  put("ROLE_RANK", rank);
  put("ROLE_WORLD_SIZE", plan.world_size);
  put("MASTER_ADDR", plan.master_addr);
  put("MASTER_PORT", plan.master_port);
  put("TORCHELASTIC_RESTART_COUNT", plan.attempt);
  put("TORCHELASTIC_MAX_RESTARTS", options.max_restarts);
  put("TORCHELASTIC_RUN_ID", options.rdzv_id);
  put("TORCHELASTIC_USE_AGENT_STORE", "False");  // rank 0 serves PyTorch's store itself
  put("TORCHELASTIC_ERROR_FILE", error_file);
  put("TRAINER_STORE", plan.store);
  put("TRAINER_BOARD", board);
  if (std::getenv("OMP_NUM_THREADS") == nullptr)
    put("OMP_NUM_THREADS", std::max(1, available_cores() / options.workers));
  if (std::getenv("TORCH_NCCL_ASYNC_ERROR_HANDLING") == nullptr) put("TORCH_NCCL_ASYNC_ERROR_HANDLING", 1);
  if (options.virtual_local_rank) {
    const auto devices = gpus();
    if (!devices.empty()) {
      check(Exit::usage, local_rank < std::ssize(devices), "--virtual-local-rank: {} workers for {} GPUs",
            options.workers, devices.size());
      put("CUDA_VISIBLE_DEVICES", devices[static_cast<size_t>(local_rank)]);
    }
  }

  std::vector<std::string> all;
  for (char** variable = ::environ; *variable != nullptr; ++variable) {
    const std::string text = *variable;
    if (!set.contains(text.substr(0, text.find('=')))) all.push_back(text);
  }
  for (const auto& [name, value] : set) {
    // An empty one of these would say something else than none.
    const bool optional = name == "TORCHELASTIC_ERROR_FILE" || name == "TRAINER_BOARD";
    if (!optional || !value.empty()) all.push_back(name + "=" + value);
  }
  return all;
}

}  // namespace trainer::launch
