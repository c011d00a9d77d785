// --dry-run: layers, parameter groups and plan of a run, which is built but not trained.
#include <cstdio>

#include "apps/trainer/train_modes.h"
#include "lib/base/text.h"
#include "lib/comm/reducer.h"
#include "lib/nn/trace.h"

namespace trainer::app {
namespace {

struct Group {
  double weight_decay = 0;
  int64_t tensors = 0, elements = 0;
};

}  // namespace

int dry_run(const config::Config& config, const train::Settings& s, const Process& process) {
  const Device device = process.device;
  train::Training t(config, s,
                    train::build_loader(train::build_dataset(config, s, data::Split::train), s,
                                        data::Split::train, *process.comm),
                    device, *process.comm);
  const train::Plan& plan = t.trainer->plan();
  const int64_t batch = s.loader.batch_size;

  const auto calls = nn::trace(*t.model, t.loader->dataset().spec().input, 1, device);
  size_t wide = 5, wider = 11;
  for (const auto& c : calls) {
    wide = std::max(wide, c.path.size());
    wider = std::max(wider, c.description.size());
  }
  fmt::print("{:<{}}  {:<{}}  {:<22} {:>12} {:>10}\n", "layer", wide, "kind", wider, "output", "parameters",
             "MACs");
  int64_t macs = 0;
  for (const auto& c : calls) {
    macs += c.macs;
    fmt::print("{:<{}}  {:<{}}  {:<22} {:>12} {:>10}\n", c.path, wide, c.description, wider,
               c.output.with(0, batch).str(), with_commas(c.parameters),
               c.macs > 0 ? human_count(static_cast<double>(c.macs)) : "");
  }
  fmt::print("\n{}: {}, {} multiply-accumulates a sample\n", s.model.name, count_text(*t.parameters),
             human_count(static_cast<double>(macs)));

  std::map<std::pair<double, double>, Group> groups;
  for (const auto& span : t.parameters->trainable()) {
    Group& g = groups[{span.lr_factor, span.weight_decay}];
    g.tensors += 1;
    g.elements += span.size;
  }
  const train::LearningRates rates = train::scaled_rates(s.train, plan.effective_batch);
  fmt::print("\nparameter groups ({})\n", s.train.optimizer);
  for (const auto& [key, g] : groups) {
    fmt::print("  learning rate {:<10.4g} weight decay {:<8.4g} {:>5} tensors {:>14} parameters\n",
               rates.base * key.first, key.second, g.tensors, with_commas(g.elements));
  }
  fmt::print(
      "\nplan: {} epochs of {} steps = {} steps, effective batch {}; {} from {:.4g}, warm-up {} epochs, "
      "device {}\n",
      plan.epochs, plan.steps_per_epoch, plan.total_steps, plan.effective_batch, s.train.schedule, rates.base,
      s.train.warmup_epochs, device.str());
  if (const int ranks = process.comm->size(); ranks > 1) {
    std::vector<comm::Range> ranges;
    for (const auto& span : t.parameters->trainable()) ranges.push_back({span.begin, span.begin + span.size});
    constexpr int64_t bytes = sizeof(float);
    const int64_t all = ranges.empty() ? 0 : ranges.back().end * bytes;
    fmt::print(
        "communication: {} processes sum {} of gradients each step, while backward runs, in parts: {}\n",
        ranks, human_bytes(static_cast<double>(all)), comm::cut_buckets(ranges, bytes).size());
  }
  fmt::print("run directory: {}\n", train::run_path(s));
  return 0;
}

}  // namespace trainer::app
