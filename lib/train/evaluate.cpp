#include "lib/train/evaluate.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "lib/base/board.h"
#include "lib/ops/elementwise.h"
#include "lib/tensor/constant_weights.h"
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

template <class T>
std::string_view bytes_of(std::span<const T> values) {
  return {reinterpret_cast<const char*>(values.data()), values.size_bytes()};
}

/// Puts the rows of all ranks into the order of the samples. places: of this rank's samples in that order.
void gather_rows(metrics::Rows& rows, const std::string& name, const std::vector<std::string>& places,
                 int64_t samples, comm::Comm& comm) {
  const std::vector<std::string> parts = comm.all_gather(bytes_of(rows.values()), "rows of " + name);
  size_t bytes = 0;
  for (const std::string& part : parts) bytes += part.size();
  const size_t row = bytes / static_cast<size_t>(samples);
  std::vector<float> all(bytes / sizeof(float));
  for (size_t rank = 0; rank < parts.size(); ++rank) {
    const size_t count = places[rank].size() / sizeof(int64_t);
    check(parts[rank].size() == count * row, "metric {}: rank {} has {} bytes for {} samples", name, rank,
          parts[rank].size(), count);
    for (size_t i = 0; i < count; ++i) {
      int64_t place = 0;
      std::memcpy(&place, places[rank].data() + i * sizeof place, sizeof place);
      check(place >= 0 && place < samples, "evaluation: sample {} of {}", place, samples);
      std::memcpy(reinterpret_cast<std::byte*>(all.data()) + static_cast<size_t>(place) * row,
                  parts[rank].data() + i * row, row);
    }
  }
  rows.assign(std::move(all), samples);
}

/// What is wrong with the rows that this rank's metrics have added for its samples; "" if nothing is.
std::string row_problem(const Metrics& metrics, size_t samples) {
  for (const auto& [name, metric] : metrics) {
    const metrics::Rows& rows = metric->rows();
    if (!rows.empty() && rows.size() != static_cast<int64_t>(samples))
      return fmt::format("metric {} has added {} rows for {} samples", name, rows.size(), samples);
  }
  return {};
}

/// Throws the first problem of any rank on every rank: a rank that threw alone would leave the others waiting
/// in the next collective.
[[noreturn]] void fail_together(const std::string& problem, comm::Comm& comm) {
  const std::vector<std::string> all = comm.all_gather(problem, "problems of the evaluation");
  const auto first = std::ranges::find_if(all, [](const std::string& text) { return !text.empty(); });
  fail(Exit::internal, "rank {}: {}", first - all.begin(), *first);
}

/// Turns what one rank has collected into what all have: counts and sums add up, rows are gathered. A
/// rank may have no samples.
void combine_ranks(metrics::Mean& loss, const Metrics& metrics, const std::vector<int64_t>& places,
                   comm::Comm& comm) {
  const std::string problem = row_problem(metrics, places.size());
  if (comm.size() == 1) return check(problem.empty(), "{}", problem);
  std::array<double, 1> ranks_with_problems{problem.empty() ? 0.0 : 1.0};
  std::vector<double> row_counts;  // of all ranks together, in the end: who has rows
  for (const auto& [name, metric] : metrics) row_counts.push_back(static_cast<double>(metric->rows().size()));
  std::vector<std::span<double>> parts{loss.sums(), row_counts, ranks_with_problems};
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

  if (ranks_with_problems[0] > 0) fail_together(problem, comm);

  std::vector<std::string> all_places;
  for (size_t i = 0; i < metrics.size(); ++i) {
    if (row_counts[i] == 0) continue;
    if (all_places.empty()) all_places = comm.all_gather(bytes_of(std::span(places)), "evaluated samples");
    gather_rows(metrics[i].second->rows(), metrics[i].first, all_places, loss.samples(), comm);
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

  std::vector<int64_t> places;  // of this rank's samples in the epoch's order
  const std::vector<Storage> weights = nn::memory_of_weights(model);
  std::optional<ConstantWeights> constant;
  if (loader.batches_per_epoch() > 1) constant.emplace(weights);
  loader.start(0);
  bool given_up = false;
  for (data::Batch batch; !given_up && loader.next(batch); given_up = give_up && give_up()) {
    if (batch.size() == 0) continue;
    const Tensor output = model(Var(batch.input.to(device))).value();
    mean_loss.add(loss.measure(output, batch.target.to(device)), batch.size());
    const Tensor host = ops::cast(output, DType::f32).to(Device{});
    for (const auto& [name, metric] : metrics) metric->update(host, batch.target);
    for (int64_t i = 0; i < batch.size(); ++i) places.push_back(batch.position + batch.first_row + i);
  }
  constant.reset();
  context.training = was_training;
  if (given_up) return std::nullopt;
  combine_ranks(mean_loss, metrics, places, comm);

  Evaluation result{.samples = mean_loss.samples(), .loss = mean_loss.value()};
  for (const auto& [name, metric] : metrics) result.metrics.emplace_back(name, metric->value());
  result.score = -result.loss;
  if (!metrics.empty()) {
    const double first = result.metrics.front().second;
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
