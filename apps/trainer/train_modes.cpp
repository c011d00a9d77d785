#include "apps/trainer/train_modes.h"

#include <nlohmann/json.hpp>

#include "apps/trainer/command.h"
#include "lib/backend/cpu/info.h"
#include "lib/backend/cpu/parallel.h"
#include "lib/base/log.h"
#include "lib/base/text.h"

namespace trainer::app {
namespace {

/// The first line of --version.
std::string build_text() { return version_text().substr(0, version_text().find('\n')); }

}  // namespace

data::Spec sample_spec(const config::Config& config, const train::Settings& s) {
  const bool has_files = !config.get<std::string>("DATA.DATA_PATH").empty();
  const bool needs_files = data::datasets().reads(s.dataset.name, "DATA_PATH");
  if (data::datasets().has(s.dataset.name) && (has_files || !needs_files)) {
    // Without the number of classes: labels do not matter here.
    return data::make_dataset(config.root(), {.channels = s.model.in_chans.value_or(0)})->spec();
  }
  const auto side = config.get<int64_t>("DATA.IMG_SIZE");
  return {.input = {side, side, s.model.in_chans.value_or(3)}};
}

std::map<std::string, std::string> derived_values(const train::Settings& s, const train::Plan& plan,
                                                  const Process& process) {
  const train::LearningRates rates = train::scaled_rates(s.train, plan.effective_batch);
  return {{"base_lr", fmt::format("{:.9g}", rates.base)},
          {"warmup_lr", fmt::format("{:.9g}", rates.warmup)},
          {"min_lr", fmt::format("{:.9g}", rates.min)},
          {"effective_batch", std::to_string(plan.effective_batch)},
          {"steps_per_epoch", std::to_string(plan.steps_per_epoch)},
          {"total_steps", std::to_string(plan.total_steps)},
          {"world_size", std::to_string(process.world.size)},
          {"device", process.device.str()},
          {"precision", train::choose_precision(s, process.device).str()},
          {"threads", std::to_string(cpu::threads())},
          {"seed", std::to_string(s.run.seed)},
          {"build", fmt::format("'{}'", build_text())}};
}

train::Origin origin_of(const config::Config& config, const train::Training& t, Device device) {
  const data::Dataset& dataset = t.loader->dataset();
  const data::Spec& spec = dataset.spec();
  return {.config = train::config_lines(config),
          .data = fmt::format("{} samples of {}, {}, XXH3 {}", dataset.size(), spec.input,
                              spec.is_classification() ? fmt::format("{} classes", spec.num_classes)
                                                       : fmt::format("targets {}", spec.target),
                              train::fingerprint(dataset)),
          .global_batch = t.loader->sampler().global_batch(),
          .world_size = t.trainer->parts().comm.size(),
          .threads = cpu::threads(),
          .precision = t.parameters->precision().str(),
          .device = device.str(),
          .build = build_text(),
          .instruction_set = cpu::instruction_set()};
}

void announce(const train::Settings& s, const train::Training& t, const Process& process,
              const std::string& run) {
  const train::Plan& plan = t.trainer->plan();
  const Device device = process.device;
  const int ranks = process.world.size;
  log::info("{}: {}, {} on {}{}{}", s.model.name, count_text(*t.parameters), s.train.optimizer,
            ranks == 1 ? "" : fmt::format("{} processes, each on ", ranks), device.str(),
            device.kind == Device::Kind::cpu
                ? fmt::format(" ({} thread{})", cpu::threads(), cpu::threads() == 1 ? "" : "s")
                : "");
  log::info("{}: {} samples; effective batch {}, learning rate {:.4g}", s.dataset.name,
            with_commas(t.loader->dataset().size()), plan.effective_batch,
            train::scaled_rates(s.train, plan.effective_batch).base);
  log::info("writing to {}", run);
}

std::string count_text(const optim::Parameters& p) {
  std::string text = with_commas(p.count() + p.frozen_count()) + " parameters";
  if (p.frozen_count() > 0) text += fmt::format(", {} of them trained", with_commas(p.count()));
  return text;
}

std::string summary(const train::Trainer& trainer) {
  std::string text = fmt::format("trained {} steps", trainer.step());
  if (const auto& last = trainer.last_evaluation()) {
    for (const auto& [name, value] : last->metrics) text += fmt::format(", {} {:.4f}", name, value);
  }
  return text;
}

std::string evaluation_json(const train::Evaluation& e) {
  nlohmann::ordered_json j{{"kind", "eval"}, {"loss", e.loss}};
  for (const auto& [name, value] : e.metrics) j[name] = value;
  j["samples"] = e.samples;
  return j.dump();
}

}  // namespace trainer::app
