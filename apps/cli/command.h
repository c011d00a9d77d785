// The command line as data: each command is a table of flags and what runs it. parse.h makes flags of words, help.h,
// completion.h and man.h say what there is. `trainer` and `trainer-launch` both stand on it.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "lib/base/error.h"

namespace trainer::cli {

struct Flag {
  /// Receives the word that was given ("true" or "false" for a switch), after all words have been understood. May
  /// throw Error(Exit::usage).
  using Take = std::function<void(const std::string&)>;

  std::string name;  ///< "--tag", "-l" or "-r,--redirects"; without dashes it is a positional argument
  std::string type;  ///< of its value, for people: "NAME"; FILE, PATH and DIR complete; empty: a switch
  std::string help;
  Take take = {};
  std::vector<std::string> choices = {};            ///< empty: any value
  std::optional<std::string> alone = std::nullopt;  ///< its value where it is given without one
  /// What completion offers where other values are possible too: words, or @files, @folders, @keys, @models.
  std::vector<std::string> offered = {};
  bool required = false;
  bool many = false;  ///< any number of words, one `take` for each
  bool pairs =
      false;  ///< KEY VALUE or KEY=VALUE, any number, up to the next flag; `take` gets keys and values in turn
  bool program =
      false;  ///< an argument, the first word of another program's command line; `take` gets all of that
  bool hidden = false;        ///< not in --help: for the program itself
  std::string group = {};     ///< its heading in --help; empty: Options
  std::string variable = {};  ///< of the environment, whose value counts where the flag is not given
};

/// Flags that fill a variable, which has to live until the command has run.
Flag toggle(std::string name, std::string help, bool& set);
Flag text(std::string name, std::string type, std::string help, std::string& value);
Flag choice(std::string name, std::string type, std::string help, std::string& value,
            std::vector<std::string> choices);
Flag number(std::string name, std::string type, std::string help, int64_t& value, int64_t min, int64_t max);
/// More than 0.
Flag seconds(std::string name, std::string help, double& value);

/// "-r,--redirects" -> {"-r", "--redirects"}
std::vector<std::string> names_of(const Flag&);
/// The last of them, by which messages call it.
std::string name_of(const Flag&);
inline bool is_argument(const Flag& flag) { return !flag.name.starts_with("-"); }

/// --batch_size=a_b -> --batch-size=a_b: dashes and underscores in the names of flags are the same.
std::string normalised(std::string word);

struct Command {
  std::string name, help, examples;
  std::vector<Flag> flags;
  /// Returns the process's exit code; throws Error. Empty: one of the subcommands is required.
  std::function<int()> run;
  std::vector<Command> subcommands = {};
  /// In place of run() where words are wrong: throws one Error(Exit::usage) with these problems and others that it
  /// finds. Empty: with these.
  std::function<void(const std::vector<std::string>&)> refuse = {};
  std::function<std::string()> version = {};  ///< what --version prints
  /// Flags at which the program's command line begins although its name was left out (Flag::program).
  std::vector<std::string> program_flags = {};
};

}  // namespace trainer::cli
