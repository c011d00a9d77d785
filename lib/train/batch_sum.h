// SyncBN: sums over the batch of all ranks.
#pragma once

#include <memory>

#include "lib/autograd/norm.h"
#include "lib/comm/comm.h"

namespace trainer::train {

/// On a Comm of its own: the run's sums gradients in another thread at the same time. Every rank makes one,
/// at the same place.
class CommBatchSum final : public autograd::BatchSum {
 public:
  explicit CommBatchSum(comm::Comm& of_run) : comm_(of_run.duplicate("batch norm")) {}
  void sum(Tensor& t) override { comm_->all_reduce(t, "batch norm"); }

 private:
  std::unique_ptr<comm::Comm> comm_;
};

}  // namespace trainer::train
