#include "lib/train/gradient_sum.h"

#include <csignal>

namespace trainer::train {
namespace {

std::vector<comm::Range> ranges(const optim::Parameters& parameters) {
  std::vector<comm::Range> all;
  for (const optim::Span& span : parameters.trainable()) all.push_back({span.begin, span.begin + span.size});
  return all;
}

enum Agreed { kLoss, kTerminate, kInterrupt, kSave, kCount };

}  // namespace

GradientSum::GradientSum(comm::Comm& comm, optim::Parameters& parameters)
    : parameters_(parameters),
      alone_(comm.size() == 1),
      reducer_(comm, parameters.gradients(), ranges(parameters)),
      agreed_(Tensor::zeros({kCount}, DType::f64)) {}

GradientListener* GradientSum::backward(bool last) {
  if (alone_) return nullptr;
  if (last) reducer_.start();
  return this;
}

void GradientSum::finish(double& loss, signals::Requests& requests) {
  if (alone_) return;
  const auto agreed = agreed_.span<double>();
  agreed[kLoss] = loss;
  agreed[kTerminate] = requests.stop == SIGTERM;
  agreed[kInterrupt] = requests.stop == SIGINT;
  agreed[kSave] = requests.save;
  reducer_.finish(agreed_, [this](int64_t index) {
    const optim::Span& span = parameters_.trainable()[static_cast<size_t>(index)];
    optim::Parameters::part(parameters_.gradients(), span).zero();
  });
  parameters_.set_received(reducer_.used());
  loss = agreed[kLoss];
  requests.stop = agreed[kTerminate] > 0 ? SIGTERM : (agreed[kInterrupt] > 0 ? SIGINT : 0);
  requests.save = agreed[kSave] > 0;
}

}  // namespace trainer::train
