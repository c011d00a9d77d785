// From the user's own file, --cfg, --opts and flags to the merged tree, and to what a run reads of it; --explain.
#include <fmt/ranges.h>

#include <cstdlib>

#include "apps/trainer/command.h"
#include "lib/base/log.h"

namespace trainer::app {
namespace {

namespace fs = std::filesystem;
using config::Problems;

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

/// A component that a key names, set by somebody, is not there: a line with its place, which who makes it has not.
template <class Registry>
void check_name(const config::Config& config, std::string_view key, const Registry& registry,
                Problems& problems, std::string_view other = {}) {
  const config::Node& leaf = config.group(key);
  const auto* name = leaf.value().get_if<std::string>();
  if (leaf.origin().layer == config::Origin::Layer::defaults || name == nullptr || *name == other) return;
  if (const std::string what = registry.problem(*name); !what.empty()) problems.add(leaf.origin(), key, what);
}

void check_names(const config::Config& config, Problems& problems) {
  if (config.group("MODEL.TYPE").value() == config::Value("auto"))
    check_name(config, "MODEL.NAME", nn::models(), problems);
  check_name(config, "DATA.DATASET", data::datasets(), problems);
  check_name(config, "TRAIN.LOSS", nn::losses(), problems, "auto");
  check_name(config, "TRAIN.OPTIMIZER.NAME", optim::optimizers(), problems);
  check_name(config, "TRAIN.LR_SCHEDULER.NAME", optim::schedules(), problems);
}

/// Everything that can be said of a configuration which is wrong somewhere.
void check_all(const config::Config& config, std::optional<config::Use> use, bool training,
               Problems& problems) {
  config.check_values(problems);
  if (use) config::check_pending(config, *use, problems);
  if (training) check_names(config, problems);
}

}  // namespace

std::optional<fs::path> user_config_file() {
  fs::path folder = variable("XDG_CONFIG_HOME");
  if (!folder.is_absolute()) {  // as the XDG specification says of a relative one
    const fs::path home = variable("HOME");
    if (home.empty()) return std::nullopt;
    folder = home / ".config";
  }
  const fs::path file = folder / "trainer" / "config.yaml";
  std::error_code failed;
  const bool absent = fs::status(file, failed).type() == fs::file_type::not_found;
  return absent ? std::nullopt : std::optional(file);  // what cannot be read is for who reads it
}

config::Sources ConfigSource::sources() const {
  config::Sources all{.opts = opts, .flags = flags};
  if (!no_user_config) all.user_file = user_config_file();
  if (!cfg.empty()) all.file = cfg;
  return all;
}

config::Config ConfigSource::merge() const {
  config::Config config = config::Config::defaults();
  config.merge(sources());
  config.freeze();
  for (const std::string& notice : config.notices()) log::warn("{}", notice);
  return config;
}

Loaded ConfigSource::load(config::Use use, bool training) const {
  config::Config config = config::Config::defaults();
  Problems problems;
  config.merge(sources(), problems);
  if (problems.count() == 0) {
    config.freeze();
    std::vector<std::string> notices = config::check_pending(config, use, problems);
    if (training) check_names(config, problems);
    std::optional<train::Settings> settings;
    try {
      settings.emplace(config);
    } catch (const Error& e) {
      if (e.code() != Exit::usage) throw;
      Problems values;
      config.check_values(values);
      if (values.count() == 0) problems.add("", "", e.what());  // about several keys together
    }
    if (settings && problems.count() == 0) {
      for (const std::string& notice : config.notices()) log::warn("{}", notice);
      return {std::move(config), std::move(*settings), std::move(notices)};
    }
  }
  check_all(config, use, training, problems);
  problems.raise();
  fail(Exit::internal, "a problem of the configuration has been lost");
}

void ConfigSource::refuse(const std::vector<std::string>& words, std::optional<config::Use> use,
                          bool training) const {
  config::Config config = config::Config::defaults();
  Problems problems;
  config.merge(sources(), problems);
  check_all(config, use, training, problems);
  problems.begin(config::Origin::Layer::code);  // after all files and flags
  for (const std::string& word : words) problems.add("", "", word);
  problems.raise();
  fail(Exit::internal, "a problem of the command line has been lost");
}

std::vector<Flag> source_flags(ConfigSource& source, const std::string& cfg_help) {
  Flag opts{"--opts", "KEY VALUE ...", "overrides of keys, as DATA.BATCH_SIZE 64 or DATA.BATCH_SIZE=64",
            [&source](const std::string& word) { source.opts.push_back(word); }};
  opts.pairs = true;
  return {text("--cfg", "FILE", cfg_help, source.cfg), std::move(opts),
          toggle("--no-user-config",
                 "do not read the file with your own defaults (~/.config/trainer/config.yaml)",
                 source.no_user_config)};
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
  if (e.user_default) add("note", "can be set in your own defaults, ~/.config/trainer/config.yaml");
  for (size_t i = 0; i < e.history.size(); ++i) {
    const bool users = e.history[i].origin.layer == config::Origin::Layer::user_file;
    add(i == 0 ? "set by" : "", fmt::format("{}{}: {}", users ? "your own defaults, " : "",
                                            e.history[i].origin.str(), e.history[i].value.repr()));
  }
  return text;
}

}  // namespace trainer::app
