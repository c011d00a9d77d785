// From --cfg, --opts and flags to the merged tree; --explain.
#include <fmt/ranges.h>

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

std::vector<Flag> source_flags(ConfigSource& source, const std::string& cfg_help) {
  return {text("--cfg", "FILE", cfg_help, source.cfg),
          {"--opts", "KEY VALUE ...", "overrides of keys, as DATA.BATCH_SIZE 64 or DATA.BATCH_SIZE=64"}};
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
  if (e.unsupported)
    add("note",
        "known, but not implemented yet: another value is refused, or ignored with a warning where it "
        "changes no result");
  for (size_t i = 0; i < e.history.size(); ++i) {
    add(i == 0 ? "set by" : "", fmt::format("{}: {}", e.history[i].origin.str(), e.history[i].value.repr()));
  }
  return text;
}

}  // namespace trainer::app
