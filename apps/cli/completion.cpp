#include "apps/cli/completion.h"

#include <algorithm>
#include <iterator>

namespace trainer::cli {
namespace {

// Code of the shells. What has been said before the cursor is found out for bash and zsh by the same lines.
const char* const walk_code =
#include "apps/cli/completion_walk.inc"
    ;
const char* const bash_code =
#include "apps/cli/completion_bash.inc"
    ;
const char* const zsh_code =
#include "apps/cli/completion_zsh.inc"
    ;
const char* const fish_code =
#include "apps/cli/completion_fish.inc"
    ;
const char* const fish_table_code =
#include "apps/cli/completion_fish_table.inc"
    ;

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  for (size_t at = 0; (at = text.find(from, at)) != text.npos; at += to.size())
    text.replace(at, from.size(), to);
  return text;
}

/// In single quotes, which mean the same to all three shells as long as there is no backslash in them.
std::string single_quoted(const std::string& text) {
  check(text.find('\\') == text.npos, "completion: a backslash in {}", text);
  return "'" + replaced(text, "'", "'\\''") + "'";
}

/// One table for all shells: a call for each entry, with a line for each offer, word and help parted by a tab.
///   _trainer_entry 'trainer:flags' '--cfg<TAB>configuration (YAML)
///   '
std::string table_text(const std::vector<Entry>& table) {
  std::string text;
  for (const Entry& entry : table) {
    std::string lines;
    for (const Offer& offer : entry.offers) lines += fmt::format("{}\t{}\n", offer.word, offer.help);
    if (!lines.empty())
      text += fmt::format("_trainer_entry {} {}\n", single_quoted(entry.name), single_quoted(lines));
  }
  return text;
}

std::vector<Offer> values_of(const Flag& flag) {
  std::vector<Offer> offers = as_offers(flag.offered.empty() ? flag.choices : flag.offered);
  if (offers.empty() && (flag.type == "FILE" || flag.type == "PATH")) offers = {{"@files"}};
  if (offers.empty() && flag.type == "DIR") offers = {{"@folders"}};
  if (offers.empty()) offers = {{"@any"}};
  if (flag.alone) offers.insert(offers.begin(), {"@optional"});
  return offers;
}

void add(const Command& command, const std::string& path, std::vector<Entry>& table) {
  Entry commands{path + ":commands", {}}, flags{path + ":flags", {{"--help", "this help"}}};
  std::vector<Entry> values;
  int position = 0;
  for (const Flag& flag : command.flags) {
    if (flag.hidden) continue;
    if (is_argument(flag)) {
      const std::string place = flag.program ? "program" : flag.many ? "rest" : std::to_string(++position);
      values.push_back({path + ":" + place, values_of(flag)});
      continue;
    }
    for (const std::string& name : names_of(flag)) {
      flags.offers.push_back({name, flag.help});
      // The scripts take pairs of keys and values apart themselves.
      if (!flag.type.empty() && !flag.pairs) values.push_back({path + ":" + name, values_of(flag)});
    }
  }
  for (const Command& sub : command.subcommands) commands.offers.push_back({sub.name, sub.help});
  if (command.version) flags.offers.push_back({"--version", "which version this is"});
  table.push_back(std::move(commands));
  table.push_back(std::move(flags));
  std::ranges::move(values, std::back_inserter(table));
  for (const Command& sub : command.subcommands) add(sub, path + " " + sub.name, table);
}

}  // namespace

std::vector<Offer> as_offers(const std::vector<std::string>& words) {
  std::vector<Offer> offers;
  for (const std::string& word : words) {
    if (!word.empty()) offers.push_back({word});  // '' is a choice, but no word of a shell
  }
  return offers;
}

std::vector<Entry> entries_of(const Command& root) {
  std::vector<Entry> table;
  add(root, root.name, table);
  return table;
}

std::string completion_script(const std::string& shell, const std::string& program, const std::string& how,
                              const std::vector<Entry>& table) {
  const std::string first = fmt::format("# Completion for {}, written by `{}`.\n", shell, how);
  const std::string entries = table_text(table);
  std::string text;
  if (shell == "fish") {
    text = first + fish_table_code + entries + fish_code;
  } else {
    const std::string start = "typeset -gA _trainer_table\n_trainer_entry() { _trainer_table[$1]=$2; }\n";
    text = shell == "zsh" ? "#compdef " + program + "\n" : "";
    text += first + start + entries + walk_code + (shell == "zsh" ? zsh_code : bash_code);
  }
  return replaced(text, "@program@", program);
}

}  // namespace trainer::cli
