// GradientSum: between the tape and the reducer. It sums the gradients of a step over the ranks while
// backward still computes, and with them the few numbers that every rank has to agree on.
#pragma once

#include <optional>

#include "lib/autograd/var.h"
#include "lib/base/signals.h"
#include "lib/comm/reducer.h"
#include "lib/optim/parameters.h"

namespace trainer::train {

/// Where the reducer's parameters lie in the gradient arena.
std::vector<comm::Range> gradient_ranges(const optim::Parameters&);

class GradientSum final : private GradientListener {
 public:
  GradientSum(comm::Comm&, optim::Parameters&);

  /// What each backward() of a step gets: it announces gradients as they are complete, and those of the
  /// `last` one are summed from then on. To be called even if there is no backward, because this rank has no
  /// sample. nullptr in a world of one.
  GradientListener* backward(bool last);
  /// After the last backward: the gradients of all parameters are the sums over all ranks, `loss` is the sum
  /// of all ranks' and `requests` is what any rank was asked.
  void finish(double& loss, signals::Requests& requests);
  /// The same for requests alone, between steps.
  void agree(signals::Requests&);

 private:
  void ready(int64_t index) override { reducer_.ready(index); }
  void put(const signals::Requests&);
  signals::Requests agreed() const;

  optim::Parameters& parameters_;
  comm::Comm& comm_;
  comm::Reducer reducer_;
  Tensor agreed_;  // f64: loss, SIGTERM, SIGINT, SIGUSR1
};

}  // namespace trainer::train
