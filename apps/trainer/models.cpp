// trainer models: what is registered, with parameters and multiply-accumulates.
#include <cstdio>
#include <nlohmann/json.hpp>

#include "apps/trainer/command.h"
#include "lib/base/text.h"
#include "lib/nn/trace.h"

namespace trainer::app {
namespace {

struct Flags {
  std::string glob = "*";
  int64_t size = 224, channels = 3;
  bool json = false;
};

struct Row {
  std::string name;
  int64_t parameters = 0, macs = 0;
};

/// Builds the model with zero weights: only shapes matter here.
Row measure(const std::string& name, const config::Config& config, const Shape& sample) {
  const auto model = nn::models().make(name, config.group("MODEL"), sample);
  for (const auto& [path, p] : nn::parameters(*model)) {
    Tensor memory = p->value();
    memory.zero();
  }
  Row row{.name = name, .parameters = nn::count_parameters(*model)};
  for (const auto& call : nn::trace(*model, sample, 1, Device{})) row.macs += call.macs;
  return row;
}

int list(const Flags& flags) {
  const config::Config config = config::Config::defaults();
  std::vector<std::string> names;
  for (const std::string& name : nn::models().names()) {
    if (glob_match(flags.glob, name)) names.push_back(name);
  }
  check(Exit::usage, !names.empty(), "no model matches '{}'{}", flags.glob,
        did_you_mean(flags.glob, nn::models().names()));

  nlohmann::ordered_json rows = nlohmann::ordered_json::array();
  if (!flags.json)
    fmt::print("{:<24} {:>14} {:>10}   at {}x{}x{}\n", "model", "parameters", "MACs", flags.size, flags.size,
               flags.channels);
  for (const std::string& name : names) {
    const Row row = measure(name, config, {flags.size, flags.size, flags.channels});
    if (flags.json) {
      rows.push_back({{"name", row.name}, {"parameters", row.parameters}, {"macs", row.macs}});
    } else {
      fmt::print("{:<24} {:>14} {:>10}\n", row.name, with_commas(row.parameters),
                 human_count(static_cast<double>(row.macs)));
    }
  }
  if (flags.json) std::puts(rows.dump(2).c_str());
  return 0;
}

}  // namespace

Command models_command() {
  auto flags = std::make_shared<Flags>();
  Flag glob = text("GLOB", "PATTERN", "pattern of names, as 'resnet*'", flags->glob);
  glob.offered = {"@models"};
  return {.name = "models",
          .help = "registered models, their parameters and multiply-accumulates",
          .examples = R"(Examples:
  trainer models
  trainer models 'resnet*' --img-size 32 --json)",
          .flags = {std::move(glob),
                    number("--img-size", "N", "pixels a side (default 224)", flags->size, 8, 4096),
                    number("--in-chans", "N", "input channels (default 3)", flags->channels, 1, 4096),
                    toggle("--json", "for programs", flags->json)},
          .run = [flags] { return list(*flags); }};
}

}  // namespace trainer::app
