#include <fmt/ranges.h>
#include <CLI/CLI.hpp>

#include "apps/trainer/command.h"
#include "lib/base/log.h"

namespace trainer::app {

config::Config ConfigSource::merge() const {
  config::Config config = config::Config::defaults();
  config::Sources sources{.opts = opts, .flags = flags};
  if (!cfg.empty()) sources.file = cfg;
  config.merge(sources);
  config.freeze();
  for (const std::string& notice : config.notices()) log::warn("{}", notice);
  return config;
}

void add_source(CLI::App& app, ConfigSource& source, const std::vector<std::string>& opts,
                const char* cfg_help) {
  source.opts = opts;
  app.add_option("--cfg", source.cfg, cfg_help)->type_name("FILE");
  app.add_flag_callback(
         "--opts", [] {}, "overrides of keys, as DATA.BATCH_SIZE 64 or DATA.BATCH_SIZE=64")
      ->type_name("KEY VALUE ...");
}

std::string explain(const config::Config& config, const std::string& key) {
  const config::Explanation e = config.explanation(key);
  std::string text = fmt::format("{} = {}\n  type     {}\n", e.key, e.history.back().value.repr(), e.type);
  const auto add = [&text](std::string_view label, std::string_view value) {
    if (!value.empty()) text += fmt::format("  {:<8} {}\n", label, value);
  };
  add("range", e.range);
  add("unit", e.unit);
  add("choices", fmt::format("{}", fmt::join(e.choices, ", ")));
  add("meaning", e.help);
  if (e.unsupported) add("note", "known, but not implemented yet: only the default is accepted");
  for (size_t i = 0; i < e.history.size(); ++i) {
    add(i == 0 ? "set by" : "", fmt::format("{}: {}", e.history[i].origin.str(), e.history[i].value.repr()));
  }
  return text;
}

}  // namespace trainer::app
