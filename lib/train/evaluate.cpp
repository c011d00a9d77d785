#include "lib/train/evaluate.h"

#include <algorithm>
#include <utility>

#include "lib/base/board.h"
#include "lib/ops/elementwise.h"
#include "lib/train/trainer.h"

namespace trainer::train {
namespace {

Device model_device(nn::Model& model) {
  const auto parameters = nn::parameters(model);
  return parameters.empty() ? Device{} : parameters.front().value->value().device();
}

/// Running statistics are those of rank 0, as in PyTorch's DistributedDataParallel: the ranks' own differ,
/// and every sample is to be judged by the same model.
void broadcast_buffers(nn::Model& model, comm::Comm& comm) {
  if (comm.size() == 1) return;
  for (const auto& [name, buffer] : nn::buffers(model)) comm.broadcast(buffer->value, 0, name);
}

/// Turns what one rank has collected into what all have: counts and sums add up.
void add_over_ranks(metrics::Mean& loss, const Metrics& metrics, comm::Comm& comm) {
  if (comm.size() == 1) return;
  std::vector<std::span<double>> parts{loss.sums()};
  for (const auto& [name, metric] : metrics) parts.push_back(metric->sums());
  size_t count = 0;
  for (const auto& part : parts) count += part.size();

  Tensor all = Tensor::empty({static_cast<int64_t>(count)}, DType::f64);
  double* at = all.data<double>();
  for (const auto& part : parts) at = std::ranges::copy(part, at).out;
  comm.all_reduce(all, "evaluation");
  const double* from = all.data<double>();
  for (const auto& part : parts) {
    std::copy_n(from, part.size(), part.begin());
    from += part.size();
  }
}

}  // namespace

std::optional<Evaluation> evaluate(nn::Model& model, nn::Context& context, const nn::Loss& loss,
                                   const Metrics& metrics, data::Loader& loader, comm::Comm& comm,
                                   const std::function<bool()>& give_up) {
  const NoGrad no_grad;
  const Device device = model_device(model);
  broadcast_buffers(model, comm);
  const bool was_training = std::exchange(context.training, false);
  metrics::Mean mean_loss;
  for (const auto& [name, metric] : metrics) metric->reset();

  loader.start(0);
  bool given_up = false;
  for (data::Batch batch; !given_up && loader.next(batch); given_up = give_up && give_up()) {
    if (batch.size() == 0) continue;
    const Tensor output = model(Var(batch.input.to(device))).value();
    mean_loss.add(loss.measure(output, batch.target.to(device)), batch.size());
    const Tensor host = ops::cast(output, DType::f32).to(Device{});
    for (const auto& [name, metric] : metrics) metric->update(host, batch.target);
  }
  context.training = was_training;
  if (given_up) return std::nullopt;
  add_over_ranks(mean_loss, metrics, comm);

  Evaluation result{.samples = mean_loss.samples(), .loss = mean_loss.value()};
  result.score = -result.loss;
  for (const auto& [name, metric] : metrics) result.metrics.emplace_back(name, metric->value());
  if (!metrics.empty()) {
    const double first = metrics.front().second->value();
    result.score = metrics.front().second->higher_is_better() ? first : -first;
  }
  return result;
}

void EvaluateHook::on_epoch_end(Trainer& trainer) {
  board::enter(board::Phase::evaluation, trainer.step());
  const Parts& parts = trainer.parts();
  auto result = evaluate(parts.model, trainer.context(), parts.loss, metrics_, *loader_, parts.comm,
                         [&] { return trainer.leaves_early(); });
  if (!result) return;
  result->step = trainer.step();
  result->epoch = trainer.epoch();
  trainer.report(*result);
}

}  // namespace trainer::train
