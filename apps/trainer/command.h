// The command line as data: each subcommand is a table of flags and what runs it. command_line.cpp hands the
// tables to the parser, completion_table.cpp to the shells, man.cpp to man(1).
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "lib/config/config.h"

namespace trainer::app {

struct Flag {
  /// Receives the word that was given ("true" for a switch), after all words have been understood. May throw
  /// Error(Exit::usage).
  using Take = std::function<void(const std::string&)>;

  std::string name;  ///< "--tag" or "-l"; without dashes it is a positional argument
  std::string type;  ///< of its value, for people: "NAME"; FILE, PATH and DIR complete; empty: a switch
  std::string help;
  Take take = {};  ///< empty: its words are taken off the command line before the parser sees it (--opts)
  std::vector<std::string> choices = {};            ///< empty: any value
  std::optional<std::string> alone = std::nullopt;  ///< its value where it is given without one
  /// What completion offers where other values are possible too: words, or @files, @folders, @keys, @models.
  std::vector<std::string> offered = {};
  bool required = false;
  bool many = false;    ///< any number of words, one `take` for each
  bool hidden = false;  ///< not in --help: for the program itself
};

/// Flags that fill a variable, which has to live until the command has run.
Flag toggle(std::string name, std::string help, bool& set);
Flag text(std::string name, std::string type, std::string help, std::string& value);
Flag choice(std::string name, std::string type, std::string help, std::string& value,
            std::vector<std::string> choices);
Flag number(std::string name, std::string type, std::string help, int64_t& value, int64_t min, int64_t max);
/// More than 0.
Flag seconds(std::string name, std::string help, double& value);

struct Command {
  std::string name, help, examples;
  std::vector<Flag> flags;
  /// Returns the process's exit code; throws Error. Empty: one of the subcommands is required.
  std::function<int()> run;
  std::vector<Command> subcommands = {};
};

/// Where a configuration comes from on the command line: --cfg, then --opts, then the flags that were given.
struct ConfigSource {
  std::string cfg;
  std::vector<std::string> opts;
  std::vector<config::Flag> flags;  ///< those that stand for a key and were given

  /// The merged tree, frozen. All problems are reported together.
  config::Config merge() const;
};

/// --cfg and --opts, of which take_opts() has taken the words away already.
std::vector<Flag> source_flags(ConfigSource&, const std::string& cfg_help);

/// The whole command line: training, and the subcommands below. `words` are all that was given, `opts` those of
/// --opts, taken off before.
Command root_command(const std::vector<std::string>& words, const std::vector<std::string>& opts);

Command train_command(const std::vector<std::string>& opts);
Command config_command();
Command config_diff_command();
Command devices_command();
Command models_command();
Command inspect_command(const std::vector<std::string>& opts);
Command predict_command(const std::vector<std::string>& opts);
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
