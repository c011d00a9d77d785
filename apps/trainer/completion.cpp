// trainer completion: a script for bash, zsh or fish. A script is a table, made from the tables of the command line, and
// the code over it, which shell/ keeps in files of its own; none of them starts the program when Tab is pressed.
#include <algorithm>
#include <cstdio>

#include "apps/trainer/completion_table.h"

namespace trainer::app {
namespace {

const char* const bash_code =
#include "apps/trainer/completion_bash.inc"
    ;
const char* const zsh_code =
#include "apps/trainer/completion_zsh.inc"
    ;
const char* const fish_code =
#include "apps/trainer/completion_fish.inc"
    ;

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  for (size_t at = 0; (at = text.find(from, at)) != text.npos; at += to.size())
    text.replace(at, from.size(), to);
  return text;
}

std::string shell_quoted(const std::string& text) { return "'" + replaced(text, "'", "'\\''") + "'"; }

/// ['trainer:flags']='--cfg --opts ...'
std::string bash_script(const std::vector<Entry>& table) {
  std::string text =
      "# Completion for bash, written by `trainer completion bash`.\ndeclare -gA _trainer_table=(\n";
  for (const Entry& entry : table) {
    std::string words;
    for (const Offer& offer : entry.offers) words += (words.empty() ? "" : " ") + offer.word;
    text += fmt::format("  [{}]={}\n", shell_quoted(entry.name), shell_quoted(words));
  }
  return text + ")\n" + bash_code;
}

/// 'trainer:flags' '--cfg:configuration (YAML)
/// --opts:...'
std::string zsh_script(const std::vector<Entry>& table) {
  std::string text =
      "#compdef trainer\n# Completion for zsh, written by `trainer completion zsh`.\n"
      "typeset -gA _trainer_table\n_trainer_table=(\n";
  for (const Entry& entry : table) {
    std::string lines;
    for (const Offer& offer : entry.offers) {
      lines += (lines.empty() ? "" : "\n") + replaced(offer.word, ":", "\\:");
      if (!offer.help.empty()) lines += ":" + offer.help;
    }
    text += fmt::format("  {} {}\n", shell_quoted(entry.name), shell_quoted(lines));
  }
  return text + ")\n" + zsh_code;
}

/// A case of a switch for each entry; a tab comes between a word and its help.
std::string fish_script(const std::vector<Entry>& table) {
  const auto quote = [](const std::string& t) {
    return "'" + replaced(replaced(t, "\\", "\\\\"), "'", "\\'") + "'";
  };
  std::string text =
      "# Completion for fish, written by `trainer completion fish`.\nfunction __trainer_table\n  switch "
      "$argv[1]\n";
  for (const Entry& entry : table) {
    if (entry.offers.empty()) continue;
    text += fmt::format("    case {}\n      printf '%s\\n'", quote(entry.name));
    for (const Offer& offer : entry.offers)
      text += " " + quote(offer.help.empty() ? offer.word : offer.word + "\t" + offer.help);
    text += "\n";
  }
  return text + "  end\nend\n" + fish_code;
}

int print(const std::string& shell) {
  const std::vector<Entry> table = completion_table(root_command({}, {}));
  const std::string text = shell == "bash"  ? bash_script(table)
                           : shell == "zsh" ? zsh_script(table)
                                            : fish_script(table);
  std::fputs(text.c_str(), stdout);
  return 0;
}

}  // namespace

Command completion_command() {
  auto shell = std::make_shared<std::string>();
  Flag name = choice("SHELL", "SHELL", "bash, zsh or fish", *shell, {"bash", "zsh", "fish"});
  name.required = true;
  return {.name = "completion",
          .help = "a script that completes this command line in a shell",
          .examples = R"(`cmake --install` puts the scripts where the shells look for them; without it:

Examples:
  trainer completion bash > ~/.local/share/bash-completion/completions/trainer
  source <(trainer completion bash)                        for this shell alone; zsh too, after compinit
  trainer completion zsh > ~/.zfunc/_trainer               in a folder of $fpath
  trainer completion fish > ~/.config/fish/completions/trainer.fish)",
          .flags = {std::move(name)},
          .run = [shell] { return print(*shell); }};
}

}  // namespace trainer::app
