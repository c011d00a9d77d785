#include "lib/train/divergence.h"

#include <algorithm>
#include <cmath>

#include "lib/base/text.h"

namespace trainer::train {
namespace {

/// The first row of [N, ...] f32 with a value that is not finite; -1 if there is none, as in integers. `value` becomes
/// that value.
int64_t broken_row(const Tensor& t, float& value) {
  if (t.dtype() != DType::f32) return -1;
  const auto values = t.span<float>();
  const auto found = std::ranges::find_if_not(values, [](float v) { return std::isfinite(v); });
  if (found == values.end()) return -1;
  value = *found;
  return (found - values.begin()) / (t.numel() / t.size(0));
}

/// The same text for this rank's part of a batch, without the ranks.
std::string broken_in(const data::Batch& batch, const data::Dataset& dataset, const std::string& where) {
  float value = 0;
  int64_t row = broken_row(batch.input, value);
  const char* what = "input";
  if (const int64_t first = row; first != 0) {  // a target may be broken in an earlier row
    float other = 0;
    const int64_t target = broken_row(batch.target, other);
    if (target >= 0 && (first < 0 || target < first)) row = target, value = other, what = "target";
  }
  if (row < 0) return "";
  return fmt::format("the {} of row {} of {} ({}) is {}", what, row, where,
                     dataset.name_of(batch.samples[static_cast<size_t>(row)]), unsigned_nan(value));
}

}  // namespace

std::string broken_sample(data::Loader& loader, comm::Comm& comm, const StepSamples& step) {
  std::string mine;
  try {
    loader.start(step.epoch, step.begin);
    data::Batch batch;
    for (int64_t micro = 1, at = step.begin; at < step.end && mine.empty() && loader.next(batch); ++micro) {
      at = batch.position + batch.global_size;
      const bool whole = batch.position == step.begin && at == step.end;
      mine = broken_in(batch, loader.dataset(), whole ? "the batch" : fmt::format("micro-batch {}", micro));
      if (!mine.empty() && comm.size() > 1) mine += fmt::format(" on rank {}", comm.rank());
    }
  } catch (const Error& error) {  // the other ranks wait, and the run has diverged all the same
    mine = fmt::format("the samples of the step could not be read again: {}", error.what());
  }
  for (const std::string& text : comm.all_gather(mine, "broken sample")) {
    if (!text.empty()) return text;
  }
  return "";
}

std::string text_of(const Divergence& d) {
  const StepReport& r = d.report;
  std::string text = fmt::format(
      "training diverged: loss {:.4g} and gradient norm {:.4g} at step {}, not finite for {} step{} in a row",
      unsigned_nan(r.loss), unsigned_nan(r.grad_norm), r.step, d.in_a_row, d.in_a_row == 1 ? "" : "s");
  if (d.scales_loss) text += fmt::format(" at loss scale {:.0f}, its least", r.loss_scale);
  if (r.skipped > d.in_a_row) text += fmt::format(" ({} steps skipped in all)", r.skipped);
  if (!d.broken.empty()) return text + "; " + d.broken;
  text += fmt::format(
      " (learning rate {:.3g}). The step's inputs and targets are finite. A lower TRAIN.BASE_LR, a longer "
      "TRAIN.WARMUP_EPOCHS or a smaller TRAIN.CLIP_GRAD may help",
      r.lr);
  if (d.scales_loss) text += ", or AMP.DTYPE bf16, which has the range of f32";
  return text;
}

}  // namespace trainer::train
