#include "lib/train/evaluate.h"

#include <utility>

#include "lib/train/trainer.h"

namespace trainer::train {

Evaluation evaluate(nn::Model& model, nn::Context& context, const nn::Loss& loss, const Metrics& metrics,
                    data::Loader& loader, Device device) {
  const NoGrad no_grad;
  const bool was_training = std::exchange(context.training, false);
  metrics::Mean mean_loss;
  for (const auto& [name, metric] : metrics) metric->reset();

  loader.start(0);
  for (data::Batch batch; loader.next(batch);) {
    if (batch.size() == 0) continue;
    const Tensor output = model(Var(batch.input.to(device))).value();
    mean_loss.add(loss.measure(output, batch.target.to(device)), batch.size());
    const Tensor host = output.to(Device{});
    for (const auto& [name, metric] : metrics) metric->update(host, batch.target);
  }
  context.training = was_training;

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
  Evaluation result =
      evaluate(trainer.model(), trainer.context(), loss_, metrics_, *loader_, trainer.device());
  result.step = trainer.step();
  result.epoch = trainer.epoch();
  trainer.report(result);
}

}  // namespace trainer::train
