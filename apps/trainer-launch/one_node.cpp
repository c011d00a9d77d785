// A run on this machine alone: nobody to agree with.
#include <optional>

#include "apps/trainer-launch/nodes.h"
#include "apps/trainer-launch/port.h"
#include "apps/trainer-launch/several_nodes.h"
#include "lib/base/socket.h"
#include "lib/base/store.h"

namespace trainer::launch {
namespace {

class OneNode final : public Nodes {
 public:
  explicit OneNode(const Options& options) : options_(options) {}

  Plan meet(int attempt) override {
    // Both anew for each start: nothing that the last one has left behind can be met again.
    server_.reset();
    port_.reset();
    port_.emplace(options_.master_port);
    server_.emplace("127.0.0.1:0");
    Plan plan;
    plan.attempt = attempt;
    plan.world_size = options_.workers;
    plan.master_addr = options_.master_addr.empty() ? "127.0.0.1" : options_.master_addr;
    plan.master_port = port_->port();
    plan.store = server_->address();
    return plan;
  }

 private:
  const Options& options_;
  std::optional<ReservedPort> port_;
  std::optional<StoreServer> server_;
};

}  // namespace

std::unique_ptr<Nodes> make_nodes(const Options& options) {
  if (options.max_nodes == 1) return std::make_unique<OneNode>(options);
  return make_several_nodes(options);
}

}  // namespace trainer::launch
