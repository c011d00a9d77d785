// The commands of trainer, as tables (apps/cli/command.h), and where they take their configuration from.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "apps/cli/command.h"
#include "lib/config/config.h"
#include "lib/config/pending.h"
#include "lib/train/build.h"

namespace trainer::app {

using cli::choice;
using cli::Command;
using cli::Flag;
using cli::number;
using cli::seconds;
using cli::text;
using cli::toggle;

/// A configuration that can be used.
struct Loaded {
  config::Config config;  ///< frozen
  train::Settings settings;
  std::vector<std::string> notices = {};  ///< keys that are not implemented and change no result, for the log
};

/// Where a configuration comes from on the command line: the user's own file, --cfg, --opts, then the flags that were
/// given; the last one that sets a key wins.
struct ConfigSource {
  std::string cfg = {};
  std::vector<std::string> opts = {};    ///< KEY VALUE KEY VALUE ...
  std::vector<config::Flag> flags = {};  ///< those that stand for a key and were given
  bool no_user_config = false;

  /// The merged tree, frozen. All problems are reported together.
  config::Config merge() const;

  /// The merged tree with the run's own keys bound and checked. What is wrong with sources, values, names of components
  /// (for `training`) and keys that are not implemented comes in one Error(Exit::usage).
  Loaded load(config::Use, bool training = false) const;

  /// Throws all that merge() or load() would complain of, and then these problems of the command line. `use`: none for
  /// what only merges.
  [[noreturn]] void refuse(const std::vector<std::string>& problems, std::optional<config::Use> use,
                           bool training = false) const;

 private:
  config::Sources sources() const;
};

/// The file with the user's own defaults: $XDG_CONFIG_HOME/trainer/config.yaml, else ~/.config/trainer/config.yaml.
/// None if it does not exist, or if there is no home.
std::optional<std::filesystem::path> user_config_file();

/// --cfg, --opts and --no-user-config.
std::vector<Flag> source_flags(ConfigSource&, const std::string& cfg_help);

/// The whole command line: training, and the subcommands below. `words` are all that was given.
Command root_command(const std::vector<std::string>& words);

Command train_command();
Command config_command();
Command config_diff_command();
Command devices_command();
Command models_command();
Command inspect_command();
Command predict_command();
/// `words`: the whole command line, which its report repeats.
Command bench_command(const std::vector<std::string>& words);
Command completion_command();
/// `others`: all subcommands beside it.
Command man_command(const std::vector<Command>& others);

/// What --explain prints: value, type, range, meaning, and each layer that set the key.
std::string explain(const config::Config&, const std::string& key);

/// "trainer 0.1.0 ...": version, compiler, libraries, devices.
std::string version_text();

}  // namespace trainer::app
