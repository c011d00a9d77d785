// The subcommands. Each fills a CLI11 subcommand with its flags and returns what runs it.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "lib/config/config.h"

namespace CLI {
class App;  // its header takes seconds to compile: only files that add flags include it
}

namespace trainer::app {

/// Returns the process's exit code; throws Error.
using Action = std::function<int()>;

/// Where a configuration comes from on the command line: --cfg, then --opts, then the flags that were given.
struct ConfigSource {
  std::string cfg;
  std::vector<std::string> opts;
  std::vector<config::Flag> flags;  ///< those that stand for a key and were given

  /// The merged tree, frozen. All problems are reported together.
  config::Config merge() const;
};

/// Adds --cfg and (for the help text: take_opts has taken the words away) --opts.
void add_source(CLI::App&, ConfigSource&, const std::vector<std::string>& opts, const char* cfg_help);

// Each adds its flags to `app`. `opts` are the words of --opts, taken off the command line before.
Action add_train(CLI::App& app, const std::vector<std::string>& opts);
Action add_config(CLI::App& app);
Action add_devices(CLI::App& app);
Action add_models(CLI::App& app);
Action add_inspect(CLI::App& app, const std::vector<std::string>& opts);
Action add_predict(CLI::App& app, const std::vector<std::string>& opts);

/// What --explain prints: value, type, range, meaning, and each layer that set the key.
std::string explain(const config::Config&, const std::string& key);

/// "trainer 0.1.0 ...": version, compiler, libraries, devices.
std::string version_text();

}  // namespace trainer::app
