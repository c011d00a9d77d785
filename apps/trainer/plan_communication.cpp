// What the ranks of a plan tell each other.
#include "apps/trainer/plan.h"
#include "lib/base/text.h"
#include "lib/train/gradient_sum.h"

namespace trainer::app {
namespace {

/// Sizes in order; of many equal ones in a row only how many: "1.02, 25 (3 times), 0.9 MB".
std::string sizes(const std::vector<int64_t>& bytes) {
  std::string text;
  for (size_t i = 0; i < bytes.size();) {
    const std::string size = fmt::format("{:.3g}", static_cast<double>(bytes[i]) / 1e6);
    size_t end = i + 1;
    while (end < bytes.size() && fmt::format("{:.3g}", static_cast<double>(bytes[end]) / 1e6) == size) ++end;
    text += (text.empty() ? "" : ", ") + size;
    if (end - i > 1) text += fmt::format(" ({} times)", end - i);
    i = end;
  }
  return text + " MB";
}

std::string evaluation(const Planned& plan) {
  if (plan.validation == nullptr) return "no validation data: nothing is evaluated";
  int64_t sums = 2;  // of the loss
  std::string rows;
  for (auto& [name, metric] : plan.metrics) {
    sums += std::ssize(metric->sums());
    if (metric->sums().empty()) rows += (rows.empty() ? "" : ", ") + name;
  }
  return fmt::format(
      "after each epoch rank 0's running statistics, and sums of loss and metrics, {} numbers{}", sums,
      rows.empty() ? "" : ", and the rows of all samples for " + rows);
}

}  // namespace

std::string communication_table(const Planned& plan, const BatchNormSums& sums) {
  if (plan.world == 1) return "communication: none, this is one rank (--world-size N plans for more)\n";
  const train::Settings& s = plan.settings;
  const Tensor& gradients = plan.training.parameters->gradients();
  const auto element = static_cast<int64_t>(size_of(gradients.dtype()));
  std::vector<int64_t> buckets;
  int64_t total = 0;
  for (const auto& bucket : comm::cut_buckets(train::gradient_ranges(*plan.training.parameters), element)) {
    buckets.push_back((bucket.end - bucket.begin) * element);
    total += buckets.back();
  }
  const int64_t effective = plan.training.trainer->plan().effective_batch;
  const train::LearningRates rates = train::scaled_rates(s.train, effective);
  const int64_t moved = 2 * total / plan.world * (plan.world - 1);

  std::string text = fmt::format("communication of {} ranks\n", plan.world);
  text +=
      wrapped_row("gradients",
                  fmt::format("{} a step in {} bucket{}, as backward completes them: {}", megabytes(total),
                              buckets.size(), buckets.size() == 1 ? "" : "s", sizes(buckets)),
                  plan.columns);
  text +=
      wrapped_row("each rank sends",
                  fmt::format("{} a step, and receives as much: 2 (N - 1) / N of the gradients, as a ring's "
                              "all-reduce",
                              megabytes(moved)),
                  plan.columns);
  text += wrapped_row("with the last one",
                      "the loss, requests to stop or save, and whether a parameter had no gradient",
                      plan.columns);
  if (s.train.sync_bn) {
    const int64_t micro = s.train.accumulation_steps;
    text += wrapped_row("batch norm",
                        fmt::format("{} sums a step of {} together (TRAIN.SYNC_BN)",
                                    with_commas(sums.calls * micro), megabytes(sums.bytes * micro)),
                        plan.columns);
  }
  text += wrapped_row("evaluation", evaluation(plan), plan.columns);
  text += wrapped_row(
      "effective batch",
      fmt::format(
          "{} a rank x {} ranks{} = {}", s.loader.batch_size, plan.world,
          s.train.accumulation_steps == 1 ? "" : fmt::format(" x {} accumulated", s.train.accumulation_steps),
          effective),
      plan.columns);
  text += wrapped_row("learning rate",
                      fmt::format("{:.4g} (LR_SCALING {}; one rank: {:.4g})", rates.base, s.train.lr_scaling,
                                  train::scaled_rates(s.train, effective / plan.world).base),
                      plan.columns);
  return text;
}

}  // namespace trainer::app
