// The one file that includes CLI11, whose header alone takes ten seconds to compile.
#include "apps/trainer/command_line.h"

#include <CLI/CLI.hpp>
#include <algorithm>

#include "lib/base/text.h"

namespace trainer::app {
namespace {

/// Type names as we give them, without what CLI11 appends.
class HelpFormatter final : public CLI::Formatter {
 public:
  std::string make_option_opts(const CLI::Option* option) const override {
    const std::string type = option->get_type_name();
    std::string text = type.empty() ? "" : " " + type;
    if (option->get_required()) text += " (required)";
    return text;
  }
};

/// A command with what the parser knows it by.
struct Parsed {
  explicit Parsed(const Command& c) : command(c) {}
  const Command& command;
  CLI::App* app = nullptr;
  std::vector<CLI::Option*> options;  // one for each flag
  std::vector<Parsed> subcommands;
};

CLI::Option* add(CLI::App& app, const Flag& flag) {
  const bool is_switch = flag.type.empty() || !flag.take;
  CLI::Option* option = is_switch ? app.add_flag(flag.name, flag.help) : app.add_option(flag.name, flag.help);
  if (flag.many) {
    option->expected(-1)->take_all();
  } else {
    option->take_last();  // given twice: the last one counts, as in Python's argparse
  }
  if (flag.hidden) option->group("");
  if (flag.alone) option->expected(0, 1);
  if (flag.required) option->required();
  return option->type_name(flag.name.starts_with("-") ? flag.type : "");
}

void add(CLI::App& app, Parsed& parsed) {
  parsed.app = &app;
  app.footer(parsed.command.examples);
  for (const Flag& flag : parsed.command.flags) parsed.options.push_back(add(app, flag));
  for (const Command& command : parsed.command.subcommands) {
    Parsed& sub = parsed.subcommands.emplace_back(command);
    add(*app.add_subcommand(command.name, command.help), sub);
  }
  app.require_subcommand(parsed.command.run ? 0 : 1, 1);
}

/// All flags and subcommands there are, for suggestions.
std::vector<std::string> known_words(const Command& command) {
  std::vector<std::string> words{"--help"};
  for (const Flag& flag : command.flags) {
    if (!flag.hidden) words.push_back(flag.name);
  }
  for (const Command& sub : command.subcommands) words.push_back(sub.name);
  return words;
}

const Parsed& chosen(const Parsed& parsed) {
  for (const Parsed& sub : parsed.subcommands) {
    if (sub.app->parsed()) return chosen(sub);
  }
  return parsed;
}

[[noreturn]] void fail_unknown(const Parsed& root) {
  const std::vector<std::string> known = known_words(chosen(root).command);
  std::string text;
  for (const std::string& word : root.app->remaining(true)) {
    if (!text.empty() && !word.starts_with("-")) continue;  // an unknown flag's value
    text += fmt::format("{}unknown argument {}{}", text.empty() ? "" : "\n", word, did_you_mean(word, known));
  }
  fail(Exit::usage, "{}", text);
}

void take(const Flag& flag, const std::string& word) {
  if (!flag.choices.empty() && std::ranges::find(flag.choices, word) == flag.choices.end()) {
    std::string known;
    for (const std::string& name : flag.choices) known += (known.empty() ? "" : ", ") + name;
    fail(Exit::usage, "{} {}: expected one of {}{}", flag.name, word, known,
         did_you_mean(word, flag.choices));
  }
  flag.take(word);
}

}  // namespace

int run(const Command& root, const std::vector<std::string>& words) {
  CLI::App app(root.help, root.name);
  app.formatter(std::make_shared<HelpFormatter>());
  app.set_version_flag("--version", version_text, "version, compiler, libraries, devices");
  app.set_help_flag("-h,--help", "this help");
  Parsed parsed(root);
  add(app, parsed);

  std::vector<std::string> reversed(words.rbegin(), words.rend());  // CLI11 wants the last word first
  try {
    app.parse(reversed);
  } catch (const CLI::ExtrasError&) {
    fail_unknown(parsed);
  } catch (const CLI::Success& done) {  // --help, --version
    return app.exit(done);
  } catch (const CLI::ParseError& problem) {
    fail(Exit::usage, "{} (see trainer --help)", problem.what());
  }

  const Parsed& used = chosen(parsed);
  for (size_t i = 0; i < parsed.options.size() && &used != &parsed; ++i) {
    check(Exit::usage, parsed.options[i]->count() == 0,
          "{} before '{}' has no effect: flags come after the subcommand", parsed.command.flags[i].name,
          used.command.name);
  }
  for (size_t i = 0; i < used.options.size(); ++i) {
    const Flag& flag = used.command.flags[i];
    const CLI::Option& option = *used.options[i];
    if (option.count() == 0 || !flag.take) continue;
    if (flag.many) {
      for (const std::string& word : option.results()) take(flag, word);
      continue;
    }
    const std::string word = option.results().empty() ? "" : option.results().back();
    take(flag, word.empty() && flag.alone ? *flag.alone : word);
  }
  return used.command.run();
}

}  // namespace trainer::app
