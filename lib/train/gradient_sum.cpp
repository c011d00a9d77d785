#include "lib/train/gradient_sum.h"

#include <csignal>

namespace trainer::train {
namespace {

enum Agreed { kLoss, kTerminate, kInterrupt, kSave, kCount };

}  // namespace

std::vector<comm::Range> gradient_ranges(const optim::Parameters& parameters) {
  std::vector<comm::Range> all;
  for (const optim::Span& span : parameters.trainable()) all.push_back({span.begin, span.begin + span.size});
  return all;
}

GradientSum::GradientSum(comm::Comm& comm, optim::Parameters& parameters)
    : parameters_(parameters),
      comm_(comm),
      reducer_(comm, parameters.gradients(), gradient_ranges(parameters)),
      agreed_(Tensor::zeros({kCount}, DType::f64)) {}

GradientListener* GradientSum::backward(bool last) {
  if (comm_.size() == 1) return nullptr;
  if (last) reducer_.start();
  return this;
}

void GradientSum::finish(double& loss, signals::Requests& requests) {
  if (comm_.size() == 1) return;
  agreed_.data<double>()[kLoss] = loss;
  put(requests);
  reducer_.finish(agreed_, [this](int64_t index) {
    const optim::Span& span = parameters_.trainable()[static_cast<size_t>(index)];
    optim::Parameters::part(parameters_.gradients(), span).zero();
  });
  parameters_.set_received(reducer_.used());
  loss = agreed_.data<double>()[kLoss];
  requests = agreed();
}

void GradientSum::agree(signals::Requests& requests) {
  if (comm_.size() == 1) return;
  put(requests);
  comm_.all_reduce(agreed_, "requests");
  requests = agreed();
}

void GradientSum::put(const signals::Requests& requests) {
  const auto flags = agreed_.span<double>();
  flags[kTerminate] = requests.stop == SIGTERM;
  flags[kInterrupt] = requests.stop == SIGINT;
  flags[kSave] = requests.save;
}

signals::Requests GradientSum::agreed() const {
  const auto flags = agreed_.span<double>();
  return {.stop = flags[kTerminate] > 0 ? SIGTERM : (flags[kInterrupt] > 0 ? SIGINT : 0),
          .save = flags[kSave] > 0};
}

}  // namespace trainer::train
