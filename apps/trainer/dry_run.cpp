// --dry-run: what a run would be, built but not trained.
#include <unistd.h>

#include <cstdio>
#include <cstdlib>

#include "apps/trainer/plan.h"
#include "apps/trainer/precision.h"
#include "apps/trainer/train_modes.h"
#include "lib/backend/cpu/parallel.h"
#include "lib/base/system.h"
#include "lib/base/text.h"
#include "lib/tensor/rehearsal.h"

namespace trainer::app {
namespace {

/// The locale says that characters beyond ASCII can be shown.
bool has_utf8() {
  for (const char* name : {"LC_ALL", "LC_CTYPE", "LANG"}) {
    const char* value = std::getenv(name);
    if (value == nullptr || *value == '\0') continue;
    const std::string locale(value);
    return locale.find("UTF-8") != locale.npos || locale.find("utf8") != locale.npos;
  }
  return false;
}

int64_t warmup_steps(const Planned& plan) {
  return plan.settings.train.warmup_epochs * plan.training.trainer->plan().steps_per_epoch;
}

std::string epochs_text(int64_t n) { return fmt::format("{} epoch{}", n, n == 1 ? "" : "s"); }

std::string data_text(const Planned& plan) {
  const data::Dataset& dataset = plan.training.loader->dataset();
  const data::Spec& spec = dataset.spec();
  return fmt::format("{}: {} samples of {}, {}; {}", plan.settings.dataset.name, with_commas(dataset.size()),
                     spec.input,
                     spec.is_classification() ? fmt::format("{} classes", spec.num_classes)
                                              : fmt::format("targets {}", spec.target),
                     plan.validation == nullptr
                         ? "no validation data"
                         : fmt::format("{} to validate", with_commas(plan.validation->dataset().size())));
}

std::string run_table(const Planned& plan) {
  const train::TrainSettings& s = plan.settings.train;
  const train::Plan& steps = plan.training.trainer->plan();
  const train::LearningRates rates = train::scaled_rates(s, steps.effective_batch);
  std::string text = "plan\n" + wrapped_row("data", data_text(plan), plan.columns);
  text += row("steps", fmt::format("{} of {} steps = {} steps", epochs_text(steps.epochs),
                                   steps.steps_per_epoch, steps.total_steps));
  text += row("effective batch", fmt::format("{} = {} x {} rank{} x {} accumulated", steps.effective_batch,
                                             plan.settings.loader.batch_size, plan.world,
                                             plan.world == 1 ? "" : "s", s.accumulation_steps));
  text += row("warm-up", s.warmup_epochs == 0 ? "none"
                                              : fmt::format("{} = {} steps", epochs_text(s.warmup_epochs),
                                                            warmup_steps(plan)));
  text += wrapped_row("learning rate",
                      fmt::format("{}: {:.4g}, warm-up from {:.4g}, at least {:.4g} (LR_SCALING {})",
                                  s.schedule, rates.base, rates.warmup, rates.min, s.lr_scaling),
                      plan.columns);
  text +=
      row("computes",
          fmt::format("in {} on device {}{}", plan.training.parameters->precision().str(), plan.device.str(),
                      plan.device.is_host() ? fmt::format(", {} threads", cpu::threads()) : ""));
  text += row("run directory", train::run_path(plan.settings));
  return text;
}

}  // namespace

int dry_run(const config::Config& config, const train::Settings& settings, const Process& process,
            const DryRun& asked) {
  train::Settings s = settings;
  const nn::Precision precision = train::choose_precision(s, process.device);
  report_precision(config, s, process, precision);
  // As the device would have it, but on the host and without threads that read.
  s.amp.dtype = name_of(precision.compute);
  const int64_t workers = std::exchange(s.loader.num_workers, 0);
  const train::Share share{.world = asked.world_size > 0 ? asked.world_size : process.world.size};
  const auto loader = [&](data::Split split) -> std::unique_ptr<data::Loader> {
    auto dataset = train::build_dataset(config, s, split);
    if (split == data::Split::val && dataset->size() == 0) return nullptr;
    return train::build_loader(std::move(dataset), s, split, share);
  };
  auto training_loader = loader(data::Split::train);
  const auto validation = loader(data::Split::val);
  train::Metrics metrics;
  if (validation) metrics = train::build_metrics(config, s, validation->dataset().spec());

  const Held held = Held::now();
  const Rehearsal rehearsal;
  train::Training training(config, s, std::move(training_loader), Device{}, *process.comm);
  s.loader.num_workers = workers;
  const Planned plan{.settings = s,
                     .training = training,
                     .metrics = metrics,
                     .validation = validation.get(),
                     .device = process.device,
                     .world = share.world,
                     .columns = terminal_columns()};
  BatchNormSums sums;
  const Memory memory = rehearse(plan, held, sums);
  if (process.world.rank > 0) return 0;

  const train::Plan& steps = training.trainer->plan();
  if (!asked.schedule.empty()) write_schedule(*training.schedule, steps, asked.schedule);
  const bool narrow = is_terminal(STDOUT_FILENO) || std::getenv("COLUMNS") != nullptr;
  fmt::print("{}\n{}\n{}{}\n{}\n{}", layer_table(plan, narrow), group_table(plan), run_table(plan),
             schedule_plot(*training.schedule, steps, warmup_steps(plan), plan.columns, has_utf8()),
             memory_table(plan, memory), communication_table(plan, sums));
  return 0;
}

}  // namespace trainer::app
